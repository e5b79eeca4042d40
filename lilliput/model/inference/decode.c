/* A decoder's forward pass over a key-value cache, for decoder.py's shapes and switches.

   Compiled by compiled.py when first used, called by native.py through ctypes. C11 with the vector
   extensions of GCC and Clang. One thread computes a share of every product; all meet at a barrier
   between the parts of a layer. Matrices lie in panels of LANES rows, so that one row of
   activations (decoding) and many (prompts, batches) read each weight once, in order. */

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
enum { VECTORS = 4, INTEGER_VECTORS = 2 };
#elif defined(__AVX__)
#define LANES 8
enum { VECTORS = 2, INTEGER_VECTORS = 1 };
#else
#define LANES 4
enum { VECTORS = 4, INTEGER_VECTORS = 2 };
#endif
enum { TOKENS = 6 };

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
typedef uint8_t Bytes __attribute__((vector_size(4 * LANES)));
typedef int8_t SmallInts __attribute__((vector_size(LANES)));

int lanes(void) { return LANES; }

/* ---- What native.py hands over: the same fields in the same order -------------------------- */

enum { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2, INT4 = 3, INT2 = 4 };

/* weights: panels [rows / LANES] of
   FLOAT32 [columns][LANES]; BFLOAT16 [columns / 2][LANES][2]; or codes, unsigned,
   [columns * bits / 32][LANES][4]: a byte's lowest bits belong to the first of the columns that
   share a word, 4 by 4. A weight is (code - zero) * the scale of its group of columns;
   scales: [rows / LANES][columns / group][LANES], bfloat16, or float32 if `wide_scales`. */
typedef struct {
    const void *weights, *scales;
    const float *bias;
    int32_t kind, rows, columns, group, zero, wide_scales;
} Matrix;

enum { NO_NORM = 0, RMS_NORM = 1, LAYER_NORM = 2 };

typedef struct {
    const float *gain, *bias;
    int32_t kind, stride; /* of the gain from head to head */
} Norm;

enum { SILU = 0, GELU, GELU_TANH, RELU, RELU2, CLAMPED_SWISH };
enum { EVERY_HEAD = 1, ALL_HEADS = 2 };

typedef struct {
    Norm attention_norm, attention_out_norm, attention_sum_norm, attention_sub_norm;
    Norm feed_forward_norm, feed_forward_out_norm, feed_forward_sum_norm, feed_forward_sub_norm;
    Norm query_norm, key_norm;
    Matrix query_key_value, output, gate, up, down;
    const float *sinks, *cosine, *sine, *temperature;
    int32_t heads, kv_heads, width, makes_keys, cache, normed_heads, window, chunk;
} Layer;

typedef struct {
    const Layer *layers;
    const Matrix *embedding, *head; /* the same where they are tied */
    const float *positions, *slopes;
    Norm embedding_norm, final_norm;
    int32_t n_layers, d_model, head_dim, rope_dim, gated, activation, parallel;
    int32_t widest, widest_query; /* of all rows of activations; of queries, keys and values */
    float norm_eps, attention_scale, attention_softcap, embedding_scale, residual_scale;
} Model;

/* Keys and values of a layer: [rows][kv_heads][room][head_dim]; the next column lies at `stop`. */
typedef struct {
    float *keys, *values;
    int64_t room, stop;
} Memory;

/* One pass: `batch` rows of `time` new tokens after `past` others. */
typedef struct {
    const int64_t *ids, *starts; /* [batch][time]; starts [batch][time], or [batch][1], or none */
    const Memory *memory;        /* one a layer, found by `Layer.cache` */
    float *hidden;               /* [batch][time][d_model] */
    int64_t batch, time, past, starts_stride;
} Pass;

/* ---- Threads ------------------------------------------------------------------------------- */

enum { SPINS_BEFORE_YIELD = 1 << 12, SPINS_BEFORE_SLEEP = 1 << 15, MOST_THREADS = 64 };

typedef struct Pool Pool;
typedef void (*Job)(void *what, int thread);

struct Pool {
    _Alignas(64) atomic_uint generation;
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_uint phase;
    _Alignas(64) atomic_int sleeping;
    int threads, stopping;
    Job job;
    void *what;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t workers[MOST_THREADS];
};

typedef struct { Pool *pool; int thread; } Seat;

INLINE void rest(void) {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static void meet(Pool *pool) {
    if (pool->threads == 1) return;
    unsigned phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == pool->threads) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->phase, phase + 1, memory_order_release);
        return;
    }
    for (int spins = 0;
         atomic_load_explicit(&pool->phase, memory_order_acquire) == phase; spins++) {
        if (spins < SPINS_BEFORE_YIELD) rest();
        else sched_yield();
    }
}

static void *work(void *given) {
    Seat seat = *(Seat *)given;
    Pool *pool = seat.pool;
    free(given);
    unsigned seen = 0;
    for (;;) {
        for (int spins = 0; atomic_load_explicit(&pool->generation, memory_order_acquire) == seen;
             spins++) {
            if (spins < SPINS_BEFORE_SLEEP) {
                rest();
                continue;
            }
            pthread_mutex_lock(&pool->mutex);
            atomic_fetch_add(&pool->sleeping, 1);
            while (atomic_load(&pool->generation) == seen)
                pthread_cond_wait(&pool->wake, &pool->mutex);
            atomic_fetch_sub(&pool->sleeping, 1);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen++;
        if (pool->stopping) return NULL;
        pool->job(pool->what, seat.thread);
        meet(pool);
    }
}

static void call_workers(Pool *pool) {
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleeping)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void run_job(Pool *pool, Job job, void *what) {
    pool->job = job;
    pool->what = what;
    if (pool->threads > 1) call_workers(pool);
    job(what, 0);
    meet(pool);
}

/* NULL where memory or threads are refused. */
Pool *open_pool(int threads) {
    Pool *pool = NULL;
    if (threads < 1 || threads > MOST_THREADS) return NULL;
    if (posix_memalign((void **)&pool, 64, sizeof(Pool))) return NULL;
    memset(pool, 0, sizeof *pool);
    pool->threads = 1;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (int thread = 1; thread < threads; thread++) {
        Seat *seat = malloc(sizeof *seat);
        if (!seat) break;
        *seat = (Seat){pool, thread};
        if (pthread_create(&pool->workers[thread], NULL, work, seat)) {
            free(seat);
            break;
        }
        pool->threads++;
    }
    return pool;
}

void close_pool(Pool *pool) {
    pool->stopping = 1;
    if (pool->threads > 1) call_workers(pool);
    for (int thread = 1; thread < pool->threads; thread++) pthread_join(pool->workers[thread], NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    free(pool);
}

INLINE void share(int64_t count, int thread, int threads, int64_t *first, int64_t *last) {
    *first = count * thread / threads;
    *last = count * (thread + 1) / threads;
}

/* ---- Vectors ------------------------------------------------------------------------------- */

INLINE Floats load(const float *from) {
    Floats values;
    memcpy(&values, from, sizeof values);
    return values;
}

INLINE void store(float *to, Floats values) { memcpy(to, &values, sizeof values); }

INLINE Floats all(float value) { return value - (Floats){0}; }

INLINE Ints all_ints(int32_t value) { return value - (Ints){0}; }

INLINE float sum(Floats values) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)values);
#else
    float total = 0;
    for (int lane = 0; lane < LANES; lane++) total += values[lane];
    return total;
#endif
}

INLINE Floats choose(Ints mask, Floats yes, Floats no) {
    return (Floats)(((Ints)yes & mask) | ((Ints)no & ~mask));
}

INLINE Floats larger(Floats a, Floats b) { return choose(a > b, a, b); }

INLINE Floats smaller(Floats a, Floats b) { return choose(a < b, a, b); }

INLINE Floats magnitude(Floats a) { return (Floats)((Ints)a & 0x7FFFFFFF); }

/* exp, within 2 units in the last place; Cephes' polynomial. */
INLINE Floats exponential(Floats x) {
    x = smaller(larger(x, all(-87.0f)), all(88.0f));
    Ints whole = __builtin_convertvector(x * 1.44269504f + 127.5f, Ints); /* positive: floor */
    Floats count = __builtin_convertvector(whole - 127, Floats);
    x = x - count * 0.693359375f;
    x = x + count * 2.12194440e-4f;
    Floats y = x * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * x + 8.3334519073e-3f;
    y = y * x + 4.1665795894e-2f;
    y = y * x + 1.6666665459e-1f;
    y = y * x + 5.0000001201e-1f;
    y = y * x * x + x + 1.0f;
    return y * (Floats)(whole << 23);
}

INLINE Floats sigmoid(Floats x) { return 1.0f / (1.0f + exponential(-x)); }

INLINE Floats hyperbolic_tangent(Floats x) { return 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f); }

/* Abramowitz and Stegun 7.1.26: within 1.5e-7. */
INLINE Floats error_function(Floats x) {
    Floats size = magnitude(x), t = 1.0f / (1.0f + 0.3275911f * size);
    Floats y = t * 1.061405429f - 1.453152027f;
    y = y * t + 1.421413741f;
    y = y * t - 0.284496736f;
    y = (y * t + 0.254829592f) * t;
    y = 1.0f - y * exponential(-size * size);
    return choose(x < 0.0f, -y, y);
}

INLINE Floats activate(int kind, Floats x) {
    switch (kind) {
    case SILU: return x * sigmoid(x);
    case GELU: return 0.5f * x * (1.0f + error_function(x * 0.70710678f));
    case GELU_TANH: return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    case RELU: return larger(x, all(0));
    case RELU2: x = larger(x, all(0)); return x * x;
    default: x = smaller(x, all(7.0f)); return x * sigmoid(1.702f * x);
    }
}

INLINE float dot(const float *a, const float *b, int length) {
    Floats sums = all(0);
    int at = 0;
    for (; at + LANES <= length; at += LANES) sums += load(a + at) * load(b + at);
    float total = sum(sums);
    for (; at < length; at++) total += a[at] * b[at];
    return total;
}

/* out = (in - mean) / deviation * gain + bias, as `how` says; `out` may be `in`. */
static void norm(float *out, const float *in, int width, const Norm *how, int head, float eps) {
    const float *gain = how->gain ? how->gain + (size_t)head * (size_t)how->stride : NULL;
    const float *bias = how->bias ? how->bias + (size_t)head * (size_t)how->stride : NULL;
    if (how->kind == NO_NORM) {
        if (out != in) memcpy(out, in, (size_t)width * sizeof *out);
        return;
    }
    float mean = 0, squares = 0;
    int at = 0;
    if (how->kind == LAYER_NORM) {
        Floats sums = all(0);
        for (; at + LANES <= width; at += LANES) sums += load(in + at);
        mean = sum(sums);
        for (; at < width; at++) mean += in[at];
        mean /= (float)width;
        sums = all(0);
        for (at = 0; at + LANES <= width; at += LANES)
            sums += (load(in + at) - mean) * (load(in + at) - mean);
        squares = sum(sums);
        for (; at < width; at++) squares += (in[at] - mean) * (in[at] - mean);
    } else {
        squares = dot(in, in, width);
    }
    float factor = 1.0f / sqrtf(squares / (float)width + eps);
    for (at = 0; at + LANES <= width; at += LANES) {
        Floats value = (load(in + at) - mean) * factor;
        if (gain) value *= load(gain + at);
        store(out + at, bias ? value + load(bias + at) : value);
    }
    for (; at < width; at++) {
        float value = (in[at] - mean) * factor;
        if (gain) value *= gain[at];
        out[at] = bias ? value + bias[at] : value;
    }
}

/* ---- Products ------------------------------------------------------------------------------ */

/* Rows of activations: values, and for matrices of codes the same rounded to 8 bits a group. */
typedef struct {
    float *values;
    int8_t *codes;
    float *scales;
    int32_t *sums;
    int64_t stride; /* of values and codes; scales and sums have the groups of the matrix */
} Rows;

static void round_row(const Rows *rows, int64_t row, const Matrix *matrix, int length) {
    if (matrix->kind < INT8) return;
    int groups = matrix->columns / matrix->group;
    float *values = rows->values + row * rows->stride;
    int8_t *codes = rows->codes + row * rows->stride;
    memset(values + length, 0, (size_t)(matrix->columns - length) * sizeof *values);
    for (int number = 0; number < groups; number++) {
        const float *from = values + number * matrix->group;
        int8_t *to = codes + number * matrix->group;
        Floats sizes = all(0);
        for (int at = 0; at < matrix->group; at += LANES)
            sizes = larger(sizes, magnitude(load(from + at)));
        /* The least scale is that of `rounded_activations` where it is one a row. */
        float largest = groups == 1 ? 1e-5f : 1e-30f;
        for (int lane = 0; lane < LANES; lane++)
            largest = sizes[lane] > largest ? sizes[lane] : largest;
        float scale = largest / 127.0f;
        Ints total = {0};
        for (int at = 0; at < matrix->group; at += LANES) {
            /* Adding 1.5 * 2^23 rounds to whole numbers, ties to even. */
            Floats whole = (load(from + at) / scale + 12582912.0f) - 12582912.0f;
            Ints numbers = __builtin_convertvector(whole, Ints);
            SmallInts small = __builtin_convertvector(numbers, SmallInts);
            memcpy(to + at, &small, sizeof small);
            total += numbers;
        }
        int32_t sums = 0;
        for (int lane = 0; lane < LANES; lane++) sums += total[lane];
        rows->scales[row * groups + number] = scale;
        rows->sums[row * groups + number] = sums;
    }
}

INLINE Ints four_products(Ints sums, Bytes codes, const int8_t *four) {
    int32_t word;
    memcpy(&word, four, sizeof word);
#if defined(__AVX512VNNI__)
    return (Ints)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)codes, _mm512_set1_epi32(word));
#elif defined(__AVX2__)
    /* Pairs are summed in 16 bits, which 4-bit codes times 8 bits cannot fill. */
    __m256i activations = _mm256_set1_epi32(word), ones = _mm256_set1_epi16(1);
    __m256i low = _mm256_maddubs_epi16((__m256i)(codes & 15), activations);
    __m256i high = _mm256_maddubs_epi16((__m256i)(codes >> 4), activations);
    Ints lows = (Ints)_mm256_madd_epi16(low, ones), highs = (Ints)_mm256_madd_epi16(high, ones);
    return sums + lows + (highs << 4);
#else
    Words words = (Words)codes;
    (void)word;
    sums += (Ints)(words & 255) * four[0] + (Ints)(words >> 8 & 255) * four[1];
    return sums + (Ints)(words >> 16 & 255) * four[2] + (Ints)(words >> 24) * four[3];
#endif
}

INLINE Floats scales_of(const Matrix *matrix, int64_t place) {
    if (matrix->wide_scales) return load((const float *)matrix->scales + place * LANES);
    Halves halves;
    memcpy(&halves, (const uint16_t *)matrix->scales + place * LANES, sizeof halves);
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

/* One row of activations reads weights as fast as memory gives them, but a panel is too short for
   the processor to notice the pattern: ask for what comes after these panels. */
INLINE void fetch_ahead(const void *place, int64_t distance, int count_t) {
    if (count_t == 1) __builtin_prefetch((const char *)place + distance, 0, 2);
}

/* sums[v][t] = panel `panel + v` times row `row + t`; count_v, count_t and kind are constants. */
INLINE void tile(const Matrix *matrix, int kind, int64_t panel, const Rows *rows, int64_t row,
                 int count_v, int count_t, Floats sums[VECTORS][TOKENS]) {
    int64_t columns = matrix->columns, stride = rows->stride;
    UNROLL for (int v = 0; v < count_v; v++)
        UNROLL for (int t = 0; t < count_t; t++) sums[v][t] = all(0);
    if (kind == FLOAT32) {
        const float *weights = (const float *)matrix->weights + panel * columns * LANES;
        const float *values = rows->values + row * stride;
        for (int64_t at = 0; at < columns; at++) {
            Floats part[VECTORS];
            UNROLL for (int v = 0; v < count_v; v++) {
                const float *place = weights + (v * columns + at) * LANES;
                part[v] = load(place);
                fetch_ahead(place, count_v * columns * LANES * 4, count_t);
            }
            UNROLL for (int t = 0; t < count_t; t++) {
                Floats value = all(values[t * stride + at]);
                UNROLL for (int v = 0; v < count_v; v++) sums[v][t] += part[v] * value;
            }
        }
        return;
    }
    if (kind == BFLOAT16) {
        const uint16_t *weights = (const uint16_t *)matrix->weights + panel * columns * LANES;
        const float *values = rows->values + row * stride;
        for (int64_t at = 0; at < columns; at += 2) {
            Floats even[VECTORS], odd[VECTORS];
            UNROLL for (int v = 0; v < count_v; v++) {
                Words pair;
                const uint16_t *place = weights + (v * columns + at) * LANES;
                memcpy(&pair, place, sizeof pair);
                fetch_ahead(place, count_v * columns * LANES * 2, count_t);
                even[v] = (Floats)(pair << 16);
                odd[v] = (Floats)(pair & 0xFFFF0000u);
            }
            UNROLL for (int t = 0; t < count_t; t++) {
                Floats first = all(values[t * stride + at]), second = all(values[t * stride + at + 1]);
                UNROLL for (int v = 0; v < count_v; v++) sums[v][t] += even[v] * first;
                UNROLL for (int v = 0; v < count_v; v++) sums[v][t] += odd[v] * second;
            }
        }
        return;
    }
    int bits = kind == INT8 ? 8 : kind == INT4 ? 4 : 2, per_word = 32 / bits;
    int64_t groups = columns / matrix->group, words = columns / per_word;
    const uint8_t *weights = (const uint8_t *)matrix->weights + panel * words * 4 * LANES;
    const int8_t *codes = rows->codes + row * stride;
    for (int64_t group = 0; group < groups; group++) {
        Ints whole[VECTORS][TOKENS];
        UNROLL for (int t = 0; t < count_t; t++) {
            Ints start = all_ints(-matrix->zero * rows->sums[(row + t) * groups + group]);
            UNROLL for (int v = 0; v < count_v; v++) whole[v][t] = start;
        }
        int64_t first = group * matrix->group / per_word;
        int64_t last = (group + 1) * matrix->group / per_word;
        for (int64_t at = first; at < last; at++) {
            Bytes packed[VECTORS];
            UNROLL for (int v = 0; v < count_v; v++) {
                const uint8_t *place = weights + (v * words + at) * 4 * LANES;
                memcpy(&packed[v], place, sizeof packed[v]);
                fetch_ahead(place, count_v * words * 4 * LANES, count_t);
            }
            UNROLL for (int quad = 0; quad < per_word / 4; quad++) {
                const int8_t *four = codes + at * per_word + quad * 4;
                UNROLL for (int v = 0; v < count_v; v++) {
                    Bytes part = (Bytes)((Words)packed[v] >> (quad * bits));
                    if (bits < 8) part = part & (uint8_t)((1 << bits) - 1);
                    UNROLL for (int t = 0; t < count_t; t++)
                        whole[v][t] = four_products(whole[v][t], part, four + t * stride);
                }
            }
        }
        UNROLL for (int v = 0; v < count_v; v++) {
            Floats scale = scales_of(matrix, (panel + v) * groups + group);
            UNROLL for (int t = 0; t < count_t; t++) {
                Floats factor = scale * rows->scales[(row + t) * groups + group];
                sums[v][t] += __builtin_convertvector(whole[v][t], Floats) * factor;
            }
        }
    }
}

/* Where products go: out = W x + b, or out += scale * (W x + b). */
typedef struct {
    float *values;
    int64_t stride;
    int adds;
    float scale;
} Target;

INLINE void finish(const Matrix *matrix, const Target *target, int64_t panel, int64_t row,
                   Floats sums) {
    int64_t first = panel * LANES;
    float *out = target->values + row * target->stride + first;
    int count = matrix->rows - first < LANES ? (int)(matrix->rows - first) : LANES;
    if (count == LANES) {
        if (matrix->bias) sums += load(matrix->bias + first);
        store(out, target->adds ? load(out) + target->scale * sums : sums);
        return;
    }
    for (int lane = 0; lane < count; lane++) {
        float value = sums[lane] + (matrix->bias ? matrix->bias[first + lane] : 0.0f);
        out[lane] = target->adds ? out[lane] + target->scale * value : value;
    }
}

INLINE void block(const Matrix *matrix, int kind, int64_t panel, const Rows *rows, int64_t row,
                  const Target *target, int count_v, int count_t) {
    Floats sums[VECTORS][TOKENS];
    tile(matrix, kind, panel, rows, row, count_v, count_t, sums);
    UNROLL for (int v = 0; v < count_v; v++)
        UNROLL for (int t = 0; t < count_t; t++)
            finish(matrix, target, panel + v, row + t, sums[v][t]);
}

/* Panels `first` to `last` times rows 0 to `count`; `kind` is a constant. */
INLINE void multiply_kind(const Matrix *matrix, int kind, const Rows *rows, int64_t count,
                          int64_t first, int64_t last, const Target *target) {
    const int many = kind < INT8 ? VECTORS : INTEGER_VECTORS;
    int64_t row, panel = first;
    if (count == 1) {
        for (; panel + VECTORS <= last; panel += VECTORS)
            block(matrix, kind, panel, rows, 0, target, VECTORS, 1);
        for (; panel < last; panel++) block(matrix, kind, panel, rows, 0, target, 1, 1);
        return;
    }
    for (; panel + many <= last; panel += many) {
        for (row = 0; row + TOKENS <= count; row += TOKENS)
            block(matrix, kind, panel, rows, row, target, many, TOKENS);
        for (; row + 2 <= count; row += 2) block(matrix, kind, panel, rows, row, target, many, 2);
        if (row < count) block(matrix, kind, panel, rows, row, target, many, 1);
    }
    for (; panel < last; panel++) {
        for (row = 0; row + TOKENS <= count; row += TOKENS)
            block(matrix, kind, panel, rows, row, target, 1, TOKENS);
        for (; row < count; row++) block(matrix, kind, panel, rows, row, target, 1, 1);
    }
}

static void multiply(const Matrix *matrix, const Rows *rows, int64_t count, int64_t first,
                     int64_t last, const Target *target) {
    switch (matrix->kind) {
    case FLOAT32: multiply_kind(matrix, FLOAT32, rows, count, first, last, target); break;
    case BFLOAT16: multiply_kind(matrix, BFLOAT16, rows, count, first, last, target); break;
    case INT8: multiply_kind(matrix, INT8, rows, count, first, last, target); break;
    case INT4: multiply_kind(matrix, INT4, rows, count, first, last, target); break;
    default: multiply_kind(matrix, INT2, rows, count, first, last, target);
    }
}

INLINE int64_t panels(const Matrix *matrix) { return (matrix->rows + LANES - 1) / LANES; }

/* ---- One pass ------------------------------------------------------------------------------ */

typedef struct {
    const Model *model;
    const Pass *pass;
    Pool *pool;
    Rows normed, mixed, inner;
    float *residual, *query_key_value, *delta, *up, *scores;
    int64_t tokens, residual_stride, query_stride, inner_stride, scores_stride;
} Work;

INLINE int64_t start_of(const Pass *pass, int64_t token) {
    if (!pass->starts) return 0;
    int64_t batch = token / pass->time, time = token % pass->time;
    int64_t start = pass->starts[batch * pass->starts_stride + (pass->starts_stride > 1 ? time : 0)];
    return start > 0 ? start : 0;
}

INLINE int64_t position_of(const Pass *pass, int64_t token) {
    int64_t position = pass->past + token % pass->time - start_of(pass, token);
    return position > 0 ? position : 0;
}

/* One row of a matrix, as float. */
static void read_row(const Matrix *matrix, int64_t row, int width, float *out) {
    int64_t panel = row / LANES, lane = row % LANES, columns = matrix->columns;
    if (matrix->kind == FLOAT32) {
        const float *weights = (const float *)matrix->weights + panel * columns * LANES + lane;
        for (int at = 0; at < width; at++) out[at] = weights[(int64_t)at * LANES];
        return;
    }
    if (matrix->kind == BFLOAT16) {
        const uint16_t *weights = (const uint16_t *)matrix->weights + panel * columns * LANES;
        for (int at = 0; at < width; at++) {
            uint32_t bits = (uint32_t)weights[(at / 2 * LANES + lane) * 2 + at % 2] << 16;
            memcpy(out + at, &bits, sizeof bits);
        }
        return;
    }
    int bits = matrix->kind == INT8 ? 8 : matrix->kind == INT4 ? 4 : 2, per_word = 32 / bits;
    int64_t words = columns / per_word, groups = columns / matrix->group;
    const uint8_t *weights = (const uint8_t *)matrix->weights + (panel * words * LANES + lane) * 4;
    for (int at = 0; at < width; at++) {
        uint8_t packed = weights[(int64_t)(at / per_word) * LANES * 4 + at % 4];
        int code = packed >> (at % per_word / 4 * bits) & ((1 << bits) - 1);
        int64_t place = panel * groups + at / matrix->group;
        out[at] = (float)(code - matrix->zero) * scales_of(matrix, place)[lane];
    }
}

static void embed(const Work *work, int64_t token) {
    const Model *model = work->model;
    int width = model->d_model;
    float *out = work->residual + token * work->residual_stride;
    int64_t id = work->pass->ids[token];
    read_row(model->embedding, id, width, out);
    const float *place =
        model->positions ? model->positions + position_of(work->pass, token) * width : NULL;
    for (int at = 0; at < width; at++) {
        out[at] *= model->embedding_scale;
        if (place) out[at] += place[at];
    }
    norm(out, out, width, &model->embedding_norm, 0, model->norm_eps);
}

/* The first `turning` dimensions: i turns together with i + turning / 2. */
INLINE void rotate(float *head, const float *cosine, const float *sine, int turning) {
    int half = turning / 2, at = 0;
    for (; at + LANES <= half; at += LANES) {
        Floats first = load(head + at), second = load(head + at + half);
        store(head + at, first * load(cosine + at) - second * load(sine + at));
        store(head + at + half, second * load(cosine + at) + first * load(sine + at));
    }
    for (; at < half; at++) {
        float first = head[at], second = head[at + half];
        head[at] = first * cosine[at] - second * sine[at];
        head[at + half] = second * cosine[at] + first * sine[at];
    }
}

static void prepare_heads(const Model *model, const Layer *layer, float *heads, int count,
                          const Norm *how, int64_t position) {
    int width = model->head_dim, half = model->rope_dim / 2;
    if (layer->normed_heads == ALL_HEADS)
        norm(heads, heads, count * width, how, 0, model->norm_eps);
    for (int head = 0; head < count; head++) {
        float *place = heads + head * width;
        if (layer->normed_heads == EVERY_HEAD)
            norm(place, place, width, how, head, model->norm_eps);
        if (layer->cosine)
            rotate(place, layer->cosine + position * half, layer->sine + position * half, 2 * half);
    }
}

/* Norms, rotation, and the new keys and values into the cache. */
static void prepare(const Work *work, const Layer *layer, int64_t token) {
    const Model *model = work->model;
    const Pass *pass = work->pass;
    int width = model->head_dim;
    int64_t position = position_of(pass, token);
    float *query = work->query_key_value + token * work->query_stride;
    prepare_heads(model, layer, query, layer->heads, &layer->query_norm, position);
    float factor = model->attention_scale;
    if (layer->temperature) factor *= layer->temperature[position];
    for (int at = 0; at < layer->heads * width; at++) query[at] *= factor;
    if (!layer->makes_keys) return;
    float *key = query + layer->heads * width, *value = key + layer->kv_heads * width;
    prepare_heads(model, layer, key, layer->kv_heads, &layer->key_norm, position);
    const Memory *memory = pass->memory + layer->cache;
    int64_t row = token / pass->time, column = memory->stop + token % pass->time;
    for (int head = 0; head < layer->kv_heads; head++) {
        int64_t place = ((row * layer->kv_heads + head) * memory->room + column) * width;
        memcpy(memory->keys + place, key + head * width, (size_t)width * sizeof *key);
        memcpy(memory->values + place, value + head * width, (size_t)width * sizeof *value);
    }
}

/* The first column that the token in `column` sees. */
static int64_t first_seen(const Pass *pass, const Layer *layer, int64_t token, int64_t column) {
    int64_t start = start_of(pass, token), first = start;
    if (column < start) return column; /* padding sees itself */
    if (layer->window && column - layer->window + 1 > first) first = column - layer->window + 1;
    if (layer->chunk && start + (column - start) / layer->chunk * layer->chunk > first)
        first = start + (column - start) / layer->chunk * layer->chunk;
    return first;
}

/* scores [count] → softmax, with `sink` as one more score that weighs nothing. */
static void soften(float *scores, int64_t count, const float *sink) {
    int64_t filled = (count + LANES - 1) / LANES * LANES;
    for (int64_t at = count; at < filled; at++) scores[at] = -INFINITY;
    Floats largest_lanes = all(sink ? *sink : -INFINITY), sums = all(0);
    for (int64_t at = 0; at < filled; at += LANES)
        largest_lanes = larger(largest_lanes, load(scores + at));
    float largest = largest_lanes[0];
    for (int lane = 1; lane < LANES; lane++)
        largest = largest_lanes[lane] > largest ? largest_lanes[lane] : largest;
    for (int64_t at = 0; at < filled; at += LANES) {
        Floats value = exponential(load(scores + at) - largest);
        if (at + LANES > count) {
            for (int lane = (int)(count - at); lane < LANES; lane++) value[lane] = 0;
        }
        store(scores + at, value);
        sums += value;
    }
    float total = sum(sums) + (sink ? expf(*sink - largest) : 0.0f), inverse = 1.0f / total;
    for (int64_t at = 0; at < filled; at += LANES) store(scores + at, load(scores + at) * inverse);
}

/* Of lanes i with bit `step`, b[i] + b[i ^ step]; of the others, a[i] + a[i ^ step]. */
INLINE Floats fold(Floats a, Floats b, int step) {
    Ints lane, from_b, other;
    UNROLL for (int at = 0; at < LANES; at++) lane[at] = at;
    from_b = -((lane & step) != 0);
    other = (lane ^ step) + from_b * LANES;
#if defined(__clang__)
    float parts[2 * LANES];
    Floats there;
    store(parts, a);
    store(parts + LANES, b);
    for (int at = 0; at < LANES; at++) there[at] = parts[other[at]];
#else
    Floats there = __builtin_shuffle(a, b, other);
#endif
    return choose(-from_b, b, a) + there;
}

/* scores[i] = query times keys[i], for LANES keys of `vectors` vectors; `vectors` is a constant. */
INLINE Floats score(const float *query, const float *keys, int vectors) {
    Floats asked[8], sums[LANES];
    int width = vectors * LANES;
    UNROLL for (int v = 0; v < vectors; v++) asked[v] = load(query + v * LANES);
    UNROLL for (int key = 0; key < LANES; key++) {
        sums[key] = asked[0] * load(keys + key * width);
        UNROLL for (int v = 1; v < vectors; v++)
            sums[key] += asked[v] * load(keys + key * width + v * LANES);
    }
    UNROLL for (int step = LANES / 2; step; step /= 2)
        UNROLL for (int key = 0; key < step; key++)
            sums[key] = fold(sums[key], sums[key + step], step);
    return sums[0];
}

INLINE int64_t score_all(float *scores, const float *query, const float *keys, int64_t count,
                         int vectors) {
    int64_t past = 0;
    for (; past + LANES <= count; past += LANES)
        store(scores + past, score(query, keys + past * vectors * LANES, vectors));
    return past;
}

/* scores[count] = query times keys [count][width]. */
static void score_keys(float *scores, const float *query, const float *keys, int64_t count,
                       int width) {
    int64_t past = 0;
    switch (width % LANES ? 0 : width / LANES) {
    case 1: past = score_all(scores, query, keys, count, 1); break;
    case 2: past = score_all(scores, query, keys, count, 2); break;
    case 3: past = score_all(scores, query, keys, count, 3); break;
    case 4: past = score_all(scores, query, keys, count, 4); break;
    case 6: past = score_all(scores, query, keys, count, 6); break;
    case 8: past = score_all(scores, query, keys, count, 8); break;
    }
    for (; past < count; past++) scores[past] = dot(query, keys + past * width, width);
}

INLINE void mix_vectors(float *out, const float *weights, const float *values, int64_t count,
                        int width, int vectors) {
    Floats even[8], odd[8];
    UNROLL for (int v = 0; v < vectors; v++) even[v] = odd[v] = all(0);
    int64_t past = 0;
    for (; past + 2 <= count; past += 2) {
        Floats first = all(weights[past]), second = all(weights[past + 1]);
        UNROLL for (int v = 0; v < vectors; v++) {
            even[v] += first * load(values + past * width + v * LANES);
            odd[v] += second * load(values + (past + 1) * width + v * LANES);
        }
    }
    if (past < count)
        UNROLL for (int v = 0; v < vectors; v++)
            even[v] += all(weights[past]) * load(values + past * width + v * LANES);
    UNROLL for (int v = 0; v < vectors; v++) store(out + v * LANES, even[v] + odd[v]);
}

/* out[width] = weights[count] times values [count][width]. */
static void mix(float *out, const float *weights, const float *values, int64_t count, int width) {
    int at = 0;
    for (; at + 4 * LANES <= width; at += 4 * LANES)
        mix_vectors(out + at, weights, values + at, count, width, 4);
    switch ((width - at) / LANES) {
    case 3: mix_vectors(out + at, weights, values + at, count, width, 3); break;
    case 2: mix_vectors(out + at, weights, values + at, count, width, 2); break;
    case 1: mix_vectors(out + at, weights, values + at, count, width, 1); break;
    }
    for (at = width / LANES * LANES; at < width; at++) {
        out[at] = 0;
        for (int64_t past = 0; past < count; past++)
            out[at] += weights[past] * values[past * width + at];
    }
}

static void attend(const Work *work, const Layer *layer, int64_t token, int kv_head, int thread) {
    const Model *model = work->model;
    const Pass *pass = work->pass;
    int width = model->head_dim, sharing = layer->heads / layer->kv_heads;
    int64_t row = token / pass->time, column = pass->past + token % pass->time;
    int64_t first = first_seen(pass, layer, token, column), count = column + 1 - first;
    const Memory *memory = pass->memory + layer->cache;
    int64_t column_place = first - pass->past + memory->stop;
    int64_t place = ((row * layer->kv_heads + kv_head) * memory->room + column_place) * width;
    const float *keys = memory->keys + place, *values = memory->values + place;
    float *scores = work->scores + thread * work->scores_stride, cap = model->attention_softcap;
    for (int head = kv_head * sharing; head < (kv_head + 1) * sharing; head++) {
        const float *query = work->query_key_value + token * work->query_stride + head * width;
        score_keys(scores, query, keys, count, width);
        if (cap > 0)
            for (int64_t past = 0; past < count; past++)
                scores[past] = cap * tanhf(scores[past] / cap);
        if (model->slopes)
            for (int64_t past = 0; past < count; past++)
                scores[past] -= model->slopes[head] * (float)(count - 1 - past);
        soften(scores, count, layer->sinks ? layer->sinks + head : NULL);
        mix(work->mixed.values + token * work->mixed.stride + head * width, scores, values, count,
            width);
    }
}

/* residual += scale * norm(delta), then the norm of the sum if there is one. */
static void add_delta(const Work *work, int64_t token, const Norm *out, const Norm *on_sum) {
    const Model *model = work->model;
    int width = model->d_model;
    float *delta = work->delta + token * work->residual_stride;
    float *residual = work->residual + token * work->residual_stride;
    norm(delta, delta, width, out, 0, model->norm_eps);
    for (int at = 0; at < width; at++) residual[at] += model->residual_scale * delta[at];
    norm(residual, residual, width, on_sum, 0, model->norm_eps);
}

/* Both matrices of a gated feed-forward have the same rows: a thread multiplies and gates its own. */
static void widen(const Work *work, const Layer *layer, int64_t first, int64_t last) {
    const Model *model = work->model;
    Target inner = {work->inner.values, work->inner.stride, 0, 1};
    Target up = {work->up, work->inner_stride, 0, 1};
    int kind = model->activation, gated = model->gated;
    multiply(gated ? &layer->gate : &layer->up, &work->normed, work->tokens, first, last, &inner);
    if (gated) multiply(&layer->up, &work->normed, work->tokens, first, last, &up);
    for (int64_t token = 0; token < work->tokens; token++)
        for (int64_t at = first * LANES; at < last * LANES; at += LANES) {
            float *place = inner.values + token * inner.stride + at;
            Floats value = activate(kind, load(place));
            if (gated) {
                Floats factor = load(work->up + token * work->inner_stride + at);
                if (kind == CLAMPED_SWISH)
                    factor = smaller(larger(factor, all(-7.0f)), all(7.0f)) + 1.0f;
                value *= factor;
            }
            store(place, value);
        }
}

INLINE void norm_into(const Work *work, int64_t token, const Norm *how, const Matrix *matrix) {
    int width = work->model->d_model;
    norm(work->normed.values + token * work->normed.stride,
         work->residual + token * work->residual_stride, width, how, 0, work->model->norm_eps);
    round_row(&work->normed, token, matrix, width);
}

static void compute_layer(const Work *work, const Layer *layer, int thread) {
    const Model *model = work->model;
    Pool *pool = work->pool;
    int threads = pool->threads, parallel = model->parallel, width = model->d_model;
    int query = layer->heads * model->head_dim;
    int64_t tokens = work->tokens, own, end, first, last;
    share(tokens, thread, threads, &own, &end);
    for (int64_t token = own; token < end; token++)
        norm_into(work, token, &layer->attention_norm, &layer->query_key_value);
    meet(pool);

    Target heads = {work->query_key_value, work->query_stride, 0, 1};
    share(panels(&layer->query_key_value), thread, threads, &first, &last);
    multiply(&layer->query_key_value, &work->normed, tokens, first, last, &heads);
    meet(pool);
    for (int64_t token = own; token < end; token++) prepare(work, layer, token);
    meet(pool);
    share(tokens * layer->kv_heads, thread, threads, &first, &last);
    for (int64_t unit = first; unit < last; unit++)
        attend(work, layer, unit / layer->kv_heads, (int)(unit % layer->kv_heads), thread);
    if (layer->attention_sub_norm.kind || layer->output.kind >= INT8) {
        meet(pool);
        for (int64_t token = own; token < end; token++) {
            float *mixed = work->mixed.values + token * work->mixed.stride;
            norm(mixed, mixed, query, &layer->attention_sub_norm, 0, model->norm_eps);
            round_row(&work->mixed, token, &layer->output, query);
        }
    }
    /* Side by side, the feed-forward reads the residual before attention is added to it. */
    if (parallel == 2)
        for (int64_t token = own; token < end; token++)
            norm_into(work, token, &layer->feed_forward_norm, &layer->up);
    meet(pool);

    int plain = !layer->attention_out_norm.kind && !layer->attention_sum_norm.kind;
    Target residual = {work->residual, work->residual_stride, 1, model->residual_scale};
    Target delta = {work->delta, work->residual_stride, 0, 1};
    share(panels(&layer->output), thread, threads, &first, &last);
    multiply(&layer->output, &work->mixed, tokens, first, last, plain ? &residual : &delta);
    if (!parallel) {
        meet(pool);
        for (int64_t token = own; token < end; token++) {
            if (!plain)
                add_delta(work, token, &layer->attention_out_norm, &layer->attention_sum_norm);
            norm_into(work, token, &layer->feed_forward_norm, &layer->up);
        }
        meet(pool);
    }

    share(panels(&layer->up), thread, threads, &first, &last);
    widen(work, layer, first, last);
    meet(pool);
    if (layer->feed_forward_sub_norm.kind || layer->down.kind >= INT8) {
        for (int64_t token = own; token < end; token++) {
            float *inner = work->inner.values + token * work->inner.stride;
            norm(inner, inner, layer->width, &layer->feed_forward_sub_norm, 0, model->norm_eps);
            round_row(&work->inner, token, &layer->down, layer->width);
        }
        meet(pool);
    }
    plain = !layer->feed_forward_out_norm.kind && !layer->feed_forward_sum_norm.kind;
    share(panels(&layer->down), thread, threads, &first, &last);
    multiply(&layer->down, &work->inner, tokens, first, last, plain ? &residual : &delta);
    meet(pool);
    if (!plain)
        for (int64_t token = own; token < end; token++)
            add_delta(work, token, &layer->feed_forward_out_norm, &layer->feed_forward_sum_norm);
    (void)width;
}

static void compute(void *given, int thread) {
    const Work *work = given;
    const Model *model = work->model;
    int64_t own, end;
    share(work->tokens, thread, work->pool->threads, &own, &end);
    for (int64_t token = own; token < end; token++) embed(work, token);
    for (int layer = 0; layer < model->n_layers; layer++)
        compute_layer(work, model->layers + layer, thread);
    for (int64_t token = own; token < end; token++)
        norm(work->pass->hidden + token * model->d_model,
             work->residual + token * work->residual_stride, model->d_model, &model->final_norm, 0,
             model->norm_eps);
}

/* A part of one block of memory, 64-byte aligned; with no block yet, only counts its size. */
static void *part(char *block, size_t *used, int64_t count, size_t size) {
    void *place = block ? block + *used : NULL;
    *used += ((size_t)count * size + 63) / 64 * 64;
    return place;
}

static Rows rows_in(char *block, size_t *used, int64_t tokens, int64_t stride) {
    Rows rows = {.stride = stride};
    rows.values = part(block, used, tokens * stride, sizeof(float));
    rows.codes = part(block, used, tokens * stride, 1);
    rows.scales = part(block, used, tokens * stride / 4, sizeof(float));
    rows.sums = part(block, used, tokens * stride / 4, sizeof(int32_t));
    return rows;
}

static size_t lay_out(Work *work, char *block) {
    const Model *model = work->model;
    size_t used = 0;
    int64_t tokens = work->tokens, width = model->widest, query = model->widest_query;
    work->residual_stride = width;
    work->query_stride = query;
    work->inner_stride = width;
    work->scores_stride = (work->pass->past + work->pass->time + 2 * LANES) / LANES * LANES;
    work->normed = rows_in(block, &used, tokens, width);
    work->mixed = rows_in(block, &used, tokens, width);
    work->inner = rows_in(block, &used, tokens, width);
    work->residual = part(block, &used, tokens * width, sizeof(float));
    work->delta = part(block, &used, tokens * width, sizeof(float));
    work->up = part(block, &used, tokens * width, sizeof(float));
    work->query_key_value = part(block, &used, tokens * query, sizeof(float));
    work->scores = part(block, &used, work->scores_stride * work->pool->threads, sizeof(float));
    return used;
}

/* Ask for pages of 2 MB: a batch reads keys and values from all over, page after page. */
void prefer_large_pages(void *memory, size_t size) {
#if defined(__linux__)
    const uintptr_t page = 4096, collapse = 25; /* MADV_COLLAPSE, Linux 6.1: also what is in use */
    uintptr_t first = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t last = ((uintptr_t)memory + size) / page * page;
    if (last <= first) return;
    madvise((void *)first, last - first, MADV_HUGEPAGE);
    madvise((void *)first, last - first, (int)collapse);
#else
    (void)memory;
    (void)size;
#endif
}

/* Memory that passes share; grown when one needs more. */
typedef struct { char *block; size_t size; } Room;

static int fit(Room *room, size_t size) {
    if (room->size >= size) return 1;
    free(room->block);
    room->block = NULL;
    room->size = 0;
    if (posix_memalign((void **)&room->block, 64, size)) return 0;
    memset(room->block, 0, size);
    room->size = size;
    return 1;
}

void empty_room(Room *room) {
    free(room->block);
    *room = (Room){NULL, 0};
}

enum { NO_MEMORY = 0, DONE = 1, NO_SUCH_TOKEN = 2 };

/* Fill `pass->hidden` and the cache. */
int decode(const Model *model, Pool *pool, Room *room, const Pass *pass) {
    Work work = {.model = model, .pass = pass, .pool = pool, .tokens = pass->batch * pass->time};
    for (int64_t token = 0; token < work.tokens; token++)
        if (pass->ids[token] < 0 || pass->ids[token] >= model->embedding->rows)
            return NO_SUCH_TOKEN;
    if (!fit(room, lay_out(&work, NULL))) return NO_MEMORY;
    lay_out(&work, room->block);
    run_job(pool, compute, &work);
    return DONE;
}

typedef struct {
    const Matrix *matrix;
    Pool *pool;
    Rows rows;
    Target target;
    int64_t tokens;
    int width;
} Product;

static void compute_product(void *given, int thread) {
    const Product *product = given;
    int64_t own, end, first, last;
    share(product->tokens, thread, product->pool->threads, &own, &end);
    for (int64_t token = own; token < end; token++)
        round_row(&product->rows, token, product->matrix, product->width);
    meet(product->pool);
    share(panels(product->matrix), thread, product->pool->threads, &first, &last);
    multiply(product->matrix, &product->rows, product->tokens, first, last, &product->target);
}

/* The output head: hidden [tokens][d_model] → out [tokens][vocabulary]. */
int output_head(const Model *model, Pool *pool, Room *room, const float *hidden, int64_t tokens,
                float *out) {
    int width = model->d_model, columns = model->head->columns;
    size_t size = 0;
    rows_in(NULL, &size, tokens, columns);
    if (!fit(room, size)) return NO_MEMORY;
    size = 0;
    Product product = {model->head, pool, rows_in(room->block, &size, tokens, columns),
                       {out, model->head->rows, 0, 1}, tokens, width};
    for (int64_t token = 0; token < tokens; token++)
        memcpy(product.rows.values + token * columns, hidden + token * width,
               (size_t)width * sizeof *hidden);
    if (columns > width && product.matrix->kind < INT8)
        for (int64_t token = 0; token < tokens; token++)
            memset(product.rows.values + token * columns + width, 0,
                   (size_t)(columns - width) * sizeof *hidden);
    run_job(pool, compute_product, &product);
    return DONE;
}

/* Runs a model that `lilliput export` wrote as a single file. C99 and its maths library, no more:

       cc -O3 -march=native run_model.c -lm -o run_model        (-fopenmp uses all cores)
       ./run_model story.bin --prompt "Once upon a time" --temperature 0.8 --seed 1

   The file's format is described in Lilliput's docs/export.md. Little-endian machines only.
   Apache-2.0, like Lilliput. */

#define _POSIX_C_SOURCE 200112L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "run_model: %s%s%s\n", what, *detail ? ": " : "", detail);
    exit(2);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) fail("out of memory", "try a smaller --context");
    return memory;
}

/* ---- The file ------------------------------------------------------------------------------ */

enum { FLOAT32 = 0, INT8 = 1 };
enum { ALIGNMENT = 64, MOST_ENDS = 8 };

typedef struct {
    char magic[8];
    int32_t version, kind, vocabulary_size, tokens, context_length, n_layers, d_model;
    int32_t n_heads, n_kv_heads, head_dim, d_ff, qk_norm, tied, group, pattern;
    int32_t beginning, n_merges, n_classes, n_ends, ends[MOST_ENDS];
    float norm_eps;
    int64_t token_starts, token_bytes, byte_ids, merges, classes, frequencies, weights, size;
} Header;

typedef struct { int32_t left, right, rank, merged; } Merge;

/* Rows are `columns` long, filled up with zeros to whole groups. */
typedef struct {
    const float *values;   /* FLOAT32: [rows][columns] */
    const int8_t *codes;   /* INT8: [rows][columns], times */
    const float *scales;   /* [rows][columns / group] */
    int rows, columns;
} Matrix;

typedef struct {
    const float *attention_norm, *query_norm, *key_norm, *feed_forward_norm;
    Matrix query_key_value, output, gate_up, down;
} Layer;

typedef struct {
    const Header *header;
    const char *base;
    Layer *layers;
    Matrix embedding, head;
    const float *final_norm;
} Model;

static const char *map_file(const char *path, int64_t *size) {
#if defined(_WIN32)
    Header header;
    FILE *file = fopen(path, "rb");
    if (!file || fread(&header, sizeof header, 1, file) != 1) fail("cannot read", path);
    rewind(file);
    char *memory = malloc((size_t)header.size);
    if (!memory) fail("not enough memory for", path);
    *size = (int64_t)fread(memory, 1, (size_t)header.size, file);
    fclose(file);
    return memory;
#else
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status) != 0) fail("cannot read", path);
    *size = status.st_size;
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (memory == MAP_FAILED) fail("cannot map", path);
    close(file);
    return memory;
#endif
}

/* Where the next tensor lies; every tensor begins at a multiple of ALIGNMENT. */
static const void *take(const char **place, size_t bytes) {
    const void *found = *place;
    *place += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return found;
}

static const float *take_vector(const char **place, int length) {
    return take(place, (size_t)length * sizeof(float));
}

static Matrix take_matrix(const Header *header, const char **place, int rows, int columns) {
    Matrix matrix = {NULL, NULL, NULL, rows, 0};
    matrix.columns = (columns + header->group - 1) / header->group * header->group;
    size_t count = (size_t)rows * (size_t)matrix.columns;
    if (header->kind == FLOAT32) {
        matrix.values = take(place, count * sizeof(float));
    } else {
        matrix.codes = take(place, count);
        matrix.scales = take(place, count / (size_t)header->group * sizeof(float));
    }
    return matrix;
}

static Model open_model(const char *path) {
    Model model;
    int64_t size = 0;
    model.base = map_file(path, &size);
    const Header *header = model.header = (const Header *)model.base;
    if (size < (int64_t)sizeof(Header) || memcmp(header->magic, "lilliput", 8) != 0)
        fail("not a model written by `lilliput export`", path);
    if (header->version != 1) fail("made for another run_model or another byte order", path);
    if (header->size != size) fail("the file is cut off", path);
    const char *place = model.base + header->weights;
    int query = header->n_heads * header->head_dim, key = header->n_kv_heads * header->head_dim;
    model.embedding = take_matrix(header, &place, header->vocabulary_size, header->d_model);
    model.layers = allocate((size_t)header->n_layers, sizeof(Layer));
    for (Layer *layer = model.layers; layer < model.layers + header->n_layers; layer++) {
        layer->attention_norm = take_vector(&place, header->d_model);
        layer->query_key_value = take_matrix(header, &place, query + 2 * key, header->d_model);
        if (header->qk_norm) {
            layer->query_norm = take_vector(&place, header->head_dim);
            layer->key_norm = take_vector(&place, header->head_dim);
        }
        layer->output = take_matrix(header, &place, header->d_model, query);
        layer->feed_forward_norm = take_vector(&place, header->d_model);
        layer->gate_up = take_matrix(header, &place, 2 * header->d_ff, header->d_model);
        layer->down = take_matrix(header, &place, header->d_model, header->d_ff);
    }
    model.final_norm = take_vector(&place, header->d_model);
    model.head = model.embedding;
    if (!header->tied)
        model.head = take_matrix(header, &place, header->vocabulary_size, header->d_model);
    if (place - model.base != size) fail("the file is damaged", path);
    return model;
}

/* ---- The network --------------------------------------------------------------------------- */

/* Partial sums side by side let compilers use vector instructions without reordering sums. */
enum { LANES = 16, SMALLEST_GROUP = 32 };

typedef struct {
    float *residual, *normed, *query_key_value, *mixed, *gate_up, *inner, *scores, *logits;
    float *keys, *values; /* [layers][context][kv heads * head_dim] */
    float *cosine, *sine; /* of the current position, [head_dim / 2] */
    int16_t *codes;       /* a vector rounded to 16 bits, for INT8 matrices, */
    float *scales;        /* and the scale of each of its groups */
    int context;
} State;

static State new_state(const Model *model, int context) {
    const Header *header = model->header;
    int query = header->n_heads * header->head_dim, key = header->n_kv_heads * header->head_dim;
    int widest = header->d_model > query ? header->d_model : query;
    if (header->d_ff > widest) widest = header->d_ff;
    size_t width = (size_t)(widest + header->group + LANES);
    size_t cache = (size_t)header->n_layers * (size_t)context * (size_t)key;
    State state;
    state.context = context;
    state.residual = allocate(width, sizeof(float));
    state.normed = allocate(width, sizeof(float));
    state.mixed = allocate(width, sizeof(float));
    state.inner = allocate(width, sizeof(float));
    state.query_key_value = allocate((size_t)(query + 2 * key), sizeof(float));
    state.gate_up = allocate((size_t)(2 * header->d_ff), sizeof(float));
    state.scores = allocate((size_t)header->n_heads * (size_t)context, sizeof(float));
    state.logits = allocate((size_t)header->vocabulary_size, sizeof(float));
    state.keys = allocate(cache, sizeof(float));
    state.values = allocate(cache, sizeof(float));
    state.cosine = allocate((size_t)header->head_dim / 2, sizeof(float));
    state.sine = allocate((size_t)header->head_dim / 2, sizeof(float));
    state.codes = allocate(width, sizeof(int16_t));
    state.scales = allocate(width, sizeof(float));
    return state;
}

static float dot(const float *restrict a, const float *restrict b, int length) {
    float sums[LANES] = {0}, rest = 0;
    int at = 0;
    for (; at + LANES <= length; at += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += a[at + lane] * b[at + lane];
    for (; at < length; at++) rest += a[at] * b[at];
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
    return sums[0] + rest;
}

/* A group's products: 8 bits times 16, at most 128 of them, fit a 32-bit sum. */
static int32_t integer_dot(const int8_t *restrict a, const int16_t *restrict b, int length) {
    int32_t sum = 0;
    length = length / SMALLEST_GROUP * SMALLEST_GROUP; /* as it is; now compilers know it */
    for (int at = 0; at < length; at++) sum += (int32_t)a[at] * (int32_t)b[at];
    return sum;
}

static void round_vector(State *state, const float *vector, int columns, int group) {
    for (int start = 0; start < columns; start += group) {
        float largest = 0;
        for (int at = start; at < start + group; at++) largest = fmaxf(largest, fabsf(vector[at]));
        float scale = largest / 32767.0f, inverse = largest > 0 ? 32767.0f / largest : 0;
        state->scales[start / group] = scale;
        for (int at = start; at < start + group; at++) {
            float scaled = vector[at] * inverse;
            state->codes[at] = (int16_t)(scaled + (scaled < 0 ? -0.5f : 0.5f));
        }
    }
}

/* out[rows] = matrix * vector; the vector holds zeros up to the matrix's filled-up columns. */
static void multiply(State *state, float *out, const Matrix *matrix, const float *vector,
                     int group) {
    int columns = matrix->columns, groups = columns / group;
    if (matrix->codes) round_vector(state, vector, columns, group);
    const int16_t *vector_codes = state->codes;
    const float *vector_scales = state->scales;
#ifdef _OPENMP
#pragma omp parallel for schedule(static)
#endif
    for (int row = 0; row < matrix->rows; row++) {
        size_t start = (size_t)row * (size_t)columns;
        if (!matrix->codes) {
            out[row] = dot(matrix->values + start, vector, columns);
            continue;
        }
        const float *scales = matrix->scales + (size_t)row * (size_t)groups;
        float sum = 0;
        for (int at = 0; at < groups; at++) {
            const int8_t *codes = matrix->codes + start + at * group;
            int32_t whole = integer_dot(codes, vector_codes + at * group, group);
            sum += scales[at] * vector_scales[at] * (float)whole;
        }
        out[row] = sum;
    }
}

static void embed(float *out, const Matrix *matrix, int token, int width, int group) {
    size_t start = (size_t)token * (size_t)matrix->columns;
    for (int at = 0; at < width; at++) {
        size_t place = start + (size_t)at;
        out[at] = matrix->codes
                      ? (float)matrix->codes[place] * matrix->scales[place / (size_t)group]
                      : matrix->values[place];
    }
}

static void rms_norm(float *out, const float *rows, const float *gain, int width, float epsilon) {
    float factor = 1.0f / sqrtf(dot(rows, rows, width) / (float)width + epsilon);
    for (int at = 0; at < width; at++) out[at] = rows[at] * factor * gain[at];
}

/* Turn every head by the current position's angles: element i with i + head_dim / 2. */
static void rotate(const State *state, float *heads, int count, int head_dim) {
    int half = head_dim / 2;
    for (float *head = heads; head < heads + count * head_dim; head += head_dim)
        for (int at = 0; at < half; at++) {
            float first = head[at], second = head[at + half];
            head[at] = first * state->cosine[at] - second * state->sine[at];
            head[at + half] = second * state->cosine[at] + first * state->sine[at];
        }
}

static void softmax(float *scores, int count) {
    float largest = scores[0], sum = 0;
    for (int at = 1; at < count; at++) largest = fmaxf(largest, scores[at]);
    for (int at = 0; at < count; at++) sum += scores[at] = expf(scores[at] - largest);
    for (int at = 0; at < count; at++) scores[at] /= sum;
}

static void attend(const Model *model, State *state, int layer, int position) {
    const Header *header = model->header;
    int width = header->head_dim, kv_width = header->n_kv_heads * width;
    size_t start = (size_t)layer * (size_t)state->context * (size_t)kv_width;
    const float *query = state->query_key_value, *key = query + header->n_heads * width;
    size_t row = start + (size_t)position * (size_t)kv_width;
    memcpy(state->keys + row, key, (size_t)kv_width * sizeof(float));
    memcpy(state->values + row, key + kv_width, (size_t)kv_width * sizeof(float));
    float scale = 1.0f / sqrtf((float)width);
    for (int head = 0; head < header->n_heads; head++) {
        int shared = head / (header->n_heads / header->n_kv_heads) * width;
        const float *keys = state->keys + start + shared, *values = state->values + start + shared;
        float *scores = state->scores + (size_t)head * (size_t)state->context;
        float *restrict out = state->mixed + head * width;
        for (int past = 0; past <= position; past++)
            scores[past] = scale * dot(query + head * width, keys + (size_t)past * kv_width, width);
        softmax(scores, position + 1);
        memset(out, 0, (size_t)width * sizeof(float));
        for (int past = 0; past <= position; past++) {
            const float *restrict value = values + (size_t)past * kv_width;
            for (int at = 0; at < width; at++) out[at] += scores[past] * value[at];
        }
    }
}

static void add(float *restrict to, const float *restrict what, int count) {
    for (int at = 0; at < count; at++) to[at] += what[at];
}

/* Read one token; the logits of the next one are computed only if asked for. */
static void forward(const Model *model, State *state, int token, int position, int want_logits) {
    const Header *header = model->header;
    int width = header->d_model, group = header->group, head_dim = header->head_dim;
    const float *frequencies = (const float *)(model->base + header->frequencies);
    for (int at = 0; at < head_dim / 2; at++) {
        state->cosine[at] = cosf((float)position * frequencies[at]);
        state->sine[at] = sinf((float)position * frequencies[at]);
    }
    embed(state->residual, &model->embedding, token, width, group);
    for (int number = 0; number < header->n_layers; number++) {
        const Layer *layer = model->layers + number;
        rms_norm(state->normed, state->residual, layer->attention_norm, width, header->norm_eps);
        multiply(state, state->query_key_value, &layer->query_key_value, state->normed, group);
        int turned = header->n_heads + header->n_kv_heads;
        for (int head = 0; header->qk_norm && head < turned; head++) {
            float *place = state->query_key_value + head * head_dim;
            const float *gain = head < header->n_heads ? layer->query_norm : layer->key_norm;
            rms_norm(place, place, gain, head_dim, header->norm_eps);
        }
        rotate(state, state->query_key_value, turned, head_dim);
        attend(model, state, number, position);
        multiply(state, state->normed, &layer->output, state->mixed, group);
        add(state->residual, state->normed, width);
        rms_norm(state->normed, state->residual, layer->feed_forward_norm, width, header->norm_eps);
        multiply(state, state->gate_up, &layer->gate_up, state->normed, group);
        for (int at = 0; at < header->d_ff; at++) {
            float gate = state->gate_up[at];
            state->inner[at] = gate / (1.0f + expf(-gate)) * state->gate_up[header->d_ff + at];
        }
        multiply(state, state->normed, &layer->down, state->inner, group);
        add(state->residual, state->normed, width);
    }
    if (!want_logits) return;
    rms_norm(state->normed, state->residual, model->final_norm, width, header->norm_eps);
    multiply(state, state->logits, &model->head, state->normed, group);
}

/* ---- The tokenizer: byte-level BPE ---------------------------------------------------------- */

enum { OTHER = 0, LETTER = 1, NUMBER = 2, SPACE = 3 };
enum { GPT2 = 0, GPT4 = 1, QWEN2 = 2 };

/* A text as characters: code points, their classes, and where in the bytes each begins. */
typedef struct {
    const uint8_t *bytes;
    uint32_t *codes;
    uint8_t *classes;
    size_t *starts, length;
} Text;

/* One character of UTF-8; a byte that begins none counts as one character, U+FFFD. */
static uint32_t decode_character(const uint8_t *bytes, size_t left, size_t *length) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = bytes[0];
    *length = 1;
    if (first < 0x80) return first;
    size_t count = first >= 0xF0 && first < 0xF8 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 0;
    if (!count || first >= 0xF8 || count > left) return 0xFFFD;
    uint32_t code = first & (0x7Fu >> count);
    for (size_t at = 1; at < count; at++) {
        if ((bytes[at] & 0xC0) != 0x80) return 0xFFFD;
        code = code << 6 | (bytes[at] & 0x3F);
    }
    if (code < least[count] || code > 0x10FFFF) return 0xFFFD;
    *length = count;
    return code;
}

/* The file lists where runs of one class begin: the code point, and the class in the top byte. */
static uint8_t class_of(const Model *model, uint32_t code) {
    const uint32_t *runs = (const uint32_t *)(model->base + model->header->classes);
    int low = 0, high = model->header->n_classes;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if ((runs[middle] & 0xFFFFFF) <= code) low = middle;
        else high = middle;
    }
    return (uint8_t)(runs[low] >> 24);
}

static Text read_text(const Model *model, const uint8_t *bytes, size_t size) {
    Text text = {bytes, NULL, NULL, NULL, 0};
    text.codes = allocate(size + 1, sizeof(uint32_t));
    text.classes = allocate(size + 1, 1);
    text.starts = allocate(size + 1, sizeof(size_t));
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t code = decode_character(bytes + at, size - at, &length);
        text.codes[text.length] = code;
        text.classes[text.length] = class_of(model, code);
        text.starts[text.length++] = at;
    }
    text.starts[text.length] = size;
    return text;
}

static int is_class(const Text *text, size_t at, int class) {
    return at < text->length && text->classes[at] == class;
}

static int is_line_end(const Text *text, size_t at) {
    return at < text->length && (text->codes[at] == '\r' || text->codes[at] == '\n');
}

static size_t run_end(const Text *text, size_t at, int class) {
    while (is_class(text, at, class)) at++;
    return at;
}

/* 's 't 're 've 'm 'll 'd: where it ends, or 0. Folding case, U+017F (long s) is an s. */
static size_t contraction_end(const Text *text, size_t at, int fold) {
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (text->codes[at] != '\'') return 0;
    for (size_t which = 0; which < sizeof endings / sizeof *endings; which++) {
        size_t place = at + 1;
        const char *letter = endings[which];
        for (; *letter && place < text->length; letter++, place++) {
            uint32_t code = text->codes[place];
            if (fold && code == 0x17F) code = 's';
            if (fold && code >= 'A' && code <= 'Z') code += 'a' - 'A';
            if (code != (uint32_t)*letter) break;
        }
        if (!*letter) return place;
    }
    return 0;
}

/* \s+(?!\S)|\s+ : white space keeps its last character for the word that follows. */
static size_t space_end(const Text *text, size_t at) {
    size_t end = run_end(text, at, SPACE);
    return end < text->length && end - at > 1 ? end - 1 : end;
}

/* Where the piece that begins at `at` ends, by the split pattern of the file. */
static size_t piece_end(const Text *text, size_t at, int pattern) {
    size_t end = contraction_end(text, at, pattern != GPT2);
    if (end) return end;
    size_t word = at + (text->codes[at] == ' ');
    if (pattern == GPT2) {
        for (int class = OTHER; class <= NUMBER; class++)
            if (is_class(text, word, class)) return run_end(text, word, class);
        return space_end(text, at);
    }
    if (is_class(text, at, LETTER)) return run_end(text, at, LETTER);
    if (is_class(text, at, NUMBER)) {
        size_t most = pattern == GPT4 ? 3 : 1;
        end = run_end(text, at, NUMBER);
        return end - at > most ? at + most : end;
    }
    if (!is_line_end(text, at) && is_class(text, at + 1, LETTER))
        return run_end(text, at + 1, LETTER);
    if (is_class(text, word, OTHER)) {
        end = run_end(text, word, OTHER);
        while (is_line_end(text, end)) end++;
        return end;
    }
    for (end = run_end(text, at, SPACE); end > at; end--)
        if (is_line_end(text, end - 1)) return end;
    return space_end(text, at);
}

static const Merge *find_merge(const Model *model, int32_t left, int32_t right) {
    const Merge *merges = (const Merge *)(model->base + model->header->merges);
    int low = 0, high = model->header->n_merges;
    while (low < high) {
        int middle = (low + high) / 2;
        const Merge *merge = merges + middle;
        if (merge->left == left && merge->right == right) return merge;
        if (merge->left < left || (merge->left == left && merge->right < right)) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

/* Merge the ids of one piece in place, the earliest learned pair first; returns how many remain. */
static size_t merge_piece(const Model *model, int32_t *ids, const Merge **pairs, size_t count) {
    for (size_t at = 0; at + 1 < count; at++) pairs[at] = find_merge(model, ids[at], ids[at + 1]);
    for (;;) {
        const Merge *best = NULL;
        size_t place = 0;
        for (size_t at = 0; at + 1 < count; at++)
            if (pairs[at] && (!best || pairs[at]->rank < best->rank)) best = pairs[place = at];
        if (!best) return count;
        ids[place] = best->merged;
        count--;
        memmove(ids + place + 1, ids + place + 2, (count - place - 1) * sizeof *ids);
        memmove(pairs + place, pairs + place + 1, (count - place) * sizeof *pairs);
        if (place) pairs[place - 1] = find_merge(model, ids[place - 1], ids[place]);
        if (place + 1 < count) pairs[place] = find_merge(model, ids[place], ids[place + 1]);
    }
}

/* The ids of a text, at most one a byte; `ids` has room for `size`. */
static size_t encode(const Model *model, const uint8_t *bytes, size_t size, int32_t *ids) {
    const int32_t *byte_ids = (const int32_t *)(model->base + model->header->byte_ids);
    const Merge **pairs = allocate(size + 1, sizeof *pairs);
    Text text = read_text(model, bytes, size);
    size_t written = 0;
    for (size_t at = 0, end; at < text.length; at = end) {
        end = piece_end(&text, at, model->header->pattern);
        size_t first = text.starts[at], count = text.starts[end] - first;
        for (size_t byte = 0; byte < count; byte++)
            ids[written + byte] = byte_ids[bytes[first + byte]];
        written += merge_piece(model, ids + written, pairs, count);
    }
    free(text.codes);
    free(text.classes);
    free(text.starts);
    free((void *)pairs);
    return written;
}

/* The bytes of a token; special tokens have none. */
static void print_token(const Model *model, int token) {
    const uint32_t *starts = (const uint32_t *)(model->base + model->header->token_starts);
    const char *bytes = model->base + model->header->token_bytes;
    if (token < model->header->tokens)
        fwrite(bytes + starts[token], 1, starts[token + 1] - starts[token], stdout);
}

/* ---- Choosing tokens ------------------------------------------------------------------------ */

typedef struct { float probability; int token; } Candidate;

/* splitmix64: a uniform number in [0, 1). */
static double draw(uint64_t *seed) {
    uint64_t bits = *seed += 0x9E3779B97F4A7C15u;
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
    return (double)((bits ^ bits >> 31) >> 11) / 9007199254740992.0;
}

static int most_likely_first(const void *left, const void *right) {
    float a = ((const Candidate *)left)->probability, b = ((const Candidate *)right)->probability;
    return (a < b) - (a > b);
}

static int choose(float *logits, int count, float temperature, float top_p, uint64_t *seed,
                  Candidate *candidates) {
    int best = 0;
    for (int token = 1; token < count; token++)
        if (logits[token] > logits[best]) best = token;
    if (temperature <= 0) return best;
    for (int token = 0; token < count; token++) logits[token] /= temperature;
    softmax(logits, count);
    for (int token = 0; token < count; token++)
        candidates[token] = (Candidate){logits[token], token};
    double kept = 1;
    int last = count - 1;
    if (top_p < 1) {
        qsort(candidates, (size_t)count, sizeof *candidates, most_likely_first);
        kept = 0;
        for (last = -1; last + 1 < count && kept < top_p;) kept += candidates[++last].probability;
        if (last < 0) return best;
    }
    double left = draw(seed) * kept;
    for (int at = 0; at < last; at++)
        if ((left -= candidates[at].probability) < 0) return candidates[at].token;
    return candidates[last].token;
}

/* ---- The command ----------------------------------------------------------------------------- */

static double seconds_now(void) {
#if defined(_WIN32)
    return (double)clock() / CLOCKS_PER_SEC;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#endif
}

typedef struct {
    const char *prompt;
    int tokens, context, show_ids;
    float temperature, top_p;
    uint64_t seed;
} Options;

static int ends_text(const Header *header, int token) {
    for (int at = 0; at < header->n_ends; at++)
        if (header->ends[at] == token) return 1;
    return 0;
}

static void generate(const Model *model, const Options *options) {
    const Header *header = model->header;
    size_t size = strlen(options->prompt), count = 0;
    int32_t *ids = allocate(size + 1, sizeof *ids);
    if (header->beginning >= 0) ids[count++] = header->beginning;
    count += encode(model, (const uint8_t *)options->prompt, size, ids + count);
    if (!count && header->n_ends) ids[count++] = header->ends[0];
    if (!count) fail("the prompt is empty", "give --prompt some text");
    if (count >= (size_t)options->context) fail("the prompt does not fit in the context", "cut it");
    State state = new_state(model, options->context);
    Candidate *candidates = allocate((size_t)header->vocabulary_size, sizeof *candidates);
    uint64_t seed = options->seed;
    int position = 0, written = 0, room = options->context - (int)count;
    int most = options->tokens < room ? options->tokens : room;
    double started = seconds_now(), read = 0;
    for (; position < (int)count; position++)
        forward(model, &state, ids[position], position, position + 1 == (int)count);
    read = seconds_now();
    if (!options->show_ids) fputs(options->prompt, stdout);
    int known = header->vocabulary_size; /* a model may have more rows than its tokenizer tokens */
    if (header->tokens < known) known = header->tokens;
    while (written < most) {
        int token = choose(state.logits, known, options->temperature, options->top_p, &seed,
                           candidates);
        written++;
        if (options->show_ids) printf("%d ", token);
        if (ends_text(header, token)) break;
        if (!options->show_ids) print_token(model, token);
        fflush(stdout);
        if (written < most) forward(model, &state, token, position++, 1);
    }
    double ended = seconds_now();
    printf("\n");
    fprintf(stderr, "read %zu tokens at %.1f tokens/s, wrote %d at %.1f tokens/s\n", count,
            (double)count / (read - started), written, (written - 1) / (ended - read + 1e-9));
}

static uint8_t *read_input(size_t *size) {
    size_t room = 1 << 16;
    uint8_t *bytes = allocate(room, 1);
#if defined(_WIN32)
    _setmode(_fileno(stdin), _O_BINARY);
#endif
    for (size_t got; (got = fread(bytes + *size, 1, room - *size, stdin)) > 0;) {
        *size += got;
        if (*size == room && !(bytes = realloc(bytes, room *= 2))) fail("out of memory", "");
    }
    return bytes;
}

static void encode_input(const Model *model) {
    size_t size = 0;
    uint8_t *bytes = read_input(&size);
    int32_t *ids = allocate(size, sizeof *ids);
    size_t count = encode(model, bytes, size, ids);
    for (size_t at = 0; at < count; at++) printf("%d ", (int)ids[at]);
    printf("\n");
}

/* Ids from the input: their text, or the logits after each of them, one line an id. */
static void answer_ids(const Model *model, int context, int want_logits) {
    State state = new_state(model, want_logits ? context : 1);
    int last = model->header->vocabulary_size - 1;
    for (int token, position = 0; scanf("%d", &token) == 1; position++) {
        if (token < 0 || token > last) fail("no such id", "in the input");
        if (!want_logits) {
            print_token(model, token);
            continue;
        }
        if (position >= context) fail("more ids than the context holds", "");
        forward(model, &state, token, position, 1);
        for (int at = 0; at <= last; at++)
            printf("%.9g%c", (double)state.logits[at], at < last ? ' ' : '\n');
    }
}

static void explain_usage(void) {
    fputs("usage: run_model FILE [--prompt TEXT] [--tokens N] [--temperature T] [--top-p P]\n"
          "                      [--seed N] [--context N] [--ids]\n"
          "       run_model FILE --encode | --decode | --logits     (from standard input)\n"
          "Writes after the prompt; --temperature 0 always takes the likeliest token. --ids\n"
          "prints ids for text. --encode: text to ids; --decode: ids to text; --logits: ids to\n"
          "the logits after each.\n",
          stderr);
    exit(2);
}

int main(int count, char **arguments) {
    Options options = {"", 256, 0, 0, 0.8f, 1.0f, (uint64_t)time(NULL)};
    const char *mode = "";
    if (count < 2 || arguments[1][0] == '-') explain_usage();
    for (int at = 2; at < count; at++) {
        const char *name = arguments[at], *value = at + 1 < count ? arguments[at + 1] : NULL;
        if (!strcmp(name, "--encode") || !strcmp(name, "--decode") || !strcmp(name, "--logits")) {
            mode = name;
            continue;
        }
        if (!strcmp(name, "--ids")) {
            options.show_ids = 1;
            continue;
        }
        if (!value) explain_usage();
        at++;
        if (!strcmp(name, "--prompt")) options.prompt = value;
        else if (!strcmp(name, "--tokens")) options.tokens = atoi(value);
        else if (!strcmp(name, "--context")) options.context = atoi(value);
        else if (!strcmp(name, "--temperature")) options.temperature = (float)atof(value);
        else if (!strcmp(name, "--top-p")) options.top_p = (float)atof(value);
        else if (!strcmp(name, "--seed")) options.seed = strtoull(value, NULL, 10);
        else explain_usage();
    }
    Model model = open_model(arguments[1]);
    int longest = model.header->context_length;
    if (options.context < 1 || options.context > longest) options.context = longest;
    if (!strcmp(mode, "--encode")) encode_input(&model);
    else if (*mode) answer_ids(&model, options.context, !strcmp(mode, "--logits"));
    else generate(&model, &options);
    return 0;
}

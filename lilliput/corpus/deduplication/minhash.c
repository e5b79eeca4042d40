// Minimum over a document's hashes of each permutation a·x + b modulo 2^64.

#include <stdint.h>

// So many permutations at a time keep their minima in registers.
enum { TOGETHER = 16 };

// hashes: all documents' one after the other; document d has offsets[d] … offsets[d + 1].
// a, b: `permutations` each, a multiple of TOGETHER. minima: documents × permutations.
// A document without hashes gets the largest value everywhere.
void minhash_minima(const uint64_t *restrict hashes, const int64_t *restrict offsets,
                    int64_t documents, const uint64_t *restrict a, const uint64_t *restrict b,
                    int64_t permutations, uint64_t *restrict minima) {
    for (int64_t d = 0; d < documents; d++) {
        for (int64_t first = 0; first < permutations; first += TOGETHER) {
            uint64_t least[TOGETHER], factor[TOGETHER], term[TOGETHER];
            for (int k = 0; k < TOGETHER; k++) {
                least[k] = UINT64_MAX;
                factor[k] = a[first + k];
                term[k] = b[first + k];
            }
            for (int64_t i = offsets[d]; i < offsets[d + 1]; i++) {
                uint64_t x = hashes[i];
                for (int k = 0; k < TOGETHER; k++) {
                    uint64_t value = factor[k] * x + term[k];
                    least[k] = value < least[k] ? value : least[k];
                }
            }
            for (int k = 0; k < TOGETHER; k++) minima[d * permutations + first + k] = least[k];
        }
    }
}

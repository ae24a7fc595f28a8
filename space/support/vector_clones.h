#pragma once
// BITSEARCH_VECTOR_CLONES before a function compiles it for plain x86-64, AVX2 and AVX-512 and picks
// one when the program starts. Only for loops over plain memory; depends on nothing.

// Sanitizers do not support resolving functions at start-up.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BITSEARCH_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BITSEARCH_VECTOR_CLONES
#endif

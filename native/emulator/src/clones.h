/* clones.h - a function compiled for wider vectors too, chosen when the library is loaded; the sums are the same. */
#ifndef MUONIUM_EMULATOR_CLONES_H
#define MUONIUM_EMULATOR_CLONES_H

/* The sanitizers are not ready when the choice is made. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define MU_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MU_CLONES
#endif

#endif

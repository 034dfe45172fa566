/*
 * What Muonium calls of the OpenMP runtime that oneDNN runs on. The signatures are those of the OpenMP standard; they stand
 * here because gcc's omp.h uses attributes that only gcc reads.
 */
#ifndef MUONIUM_BINDINGS_OPENMP_H
#define MUONIUM_BINDINGS_OPENMP_H

void omp_set_num_threads(int num_threads);
int omp_get_max_threads(void);
void omp_set_dynamic(int dynamic_threads);

#endif

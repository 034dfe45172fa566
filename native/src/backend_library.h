/* backend_library.h - opening a backend that lives in a library of its own. */
#ifndef MUONIUM_BACKEND_LIBRARY_H
#define MUONIUM_BACKEND_LIBRARY_H

#include "backend.h"

namespace muonium {

/*
 * Opens the library and checks that its table fits this one. *table is set on MU_OK; otherwise the last error names
 * the path and the reason. A library that was opened stays loaded until the process ends: drivers do not unload well.
 */
mu_status open_backend_library(const char* path, const mu_backend_table** table);

}  // namespace muonium

#endif

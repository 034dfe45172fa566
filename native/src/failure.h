/* failure.h - the calling thread's last failure, in a buffer of its own: recording one never allocates. */
#ifndef MUONIUM_FAILURE_H
#define MUONIUM_FAILURE_H

#include "muonium.h"

namespace muonium {

/* Keeps the text (cut at 1023 bytes) and returns status, so that a caller can `return fail(...)`. */
[[gnu::format(printf, 2, 3)]] mu_status fail(mu_status status, const char* format, ...);

}  // namespace muonium

#endif

#include "failure.h"

#include <cstdarg>
#include <cstdio>

namespace muonium {
namespace {

thread_local char last_failure[1024] = "";

}  // namespace

mu_status fail(mu_status status, const char* format, ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(last_failure, sizeof last_failure, format, values);
  va_end(values);
  return status;
}

}  // namespace muonium

const char* mu_last_error(void) {
  return muonium::last_failure;
}

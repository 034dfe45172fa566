/* driver.cpp - libcuda.so.1: the driver, of which only the version is asked. */
#include <cstdlib>

extern "C" __attribute__((visibility("default"))) int cuDriverGetVersion(int* version) {
  if (version == nullptr) {
    return 1;
  }
  const char* text = std::getenv("MU_EMULATOR_DRIVER");
  *version = text == nullptr || *text == '\0' ? 13000 : static_cast<int>(std::strtol(text, nullptr, 10));
  return 0;
}

extern "C" __attribute__((visibility("default"))) int cuInit(unsigned flags) {
  return flags == 0 ? 0 : 1;
}

/* report.h - the end of a test: a message that says what a kernel or its caller did wrong, then abort(). */
#ifndef MUONIUM_EMULATOR_REPORT_H
#define MUONIUM_EMULATOR_REPORT_H

namespace muonium::emulator {

/* Prints "emulator: " and the text, with the kernel, block and thread that run now, if any; then ends the process. */
[[noreturn, gnu::format(printf, 1, 2), gnu::visibility("default")]] void report(const char* format, ...);

}  // namespace muonium::emulator

#endif

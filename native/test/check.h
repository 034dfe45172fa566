/*
 * check.h - a test is MU_TEST(suite, name) { ... } with CHECKs in it; the program runs those of the suites it is given.
 * A failed CHECK prints what was compared and ends that test only.
 */
#ifndef MUONIUM_TEST_CHECK_H
#define MUONIUM_TEST_CHECK_H

#include <cstdint>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>

namespace test {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/* Says where a check stands that runs many times, for example in which tier and for which size. */
class Scope final {
 public:
  explicit Scope(std::string text);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
};

void register_test(const char* suite, const char* name, void (*body)());
[[noreturn]] void failed(const char* file, int line, const std::string& text);
/* Prints why a part of a test did not run; never silent. */
void skipped(const std::string& reason);

/* What a C caller may pass for an enum: any number. A conversion would leave the value unspecified. */
template <class Enum>
Enum any_number(int32_t number) {
  static_assert(sizeof(Enum) == sizeof number);
  Enum result;
  std::memcpy(&result, &number, sizeof result);
  return result;
}

struct Registration {
  Registration(const char* suite, const char* name, void (*body)()) { register_test(suite, name, body); }
};

template <class A, class B>
void check_equal(const A& a, const B& b, const char* text, const char* file, int line) {
  if (!(a == b)) {
    std::ostringstream out;
    out.precision(17);
    out << text << ": " << a << " is not " << b;
    failed(file, line, out.str());
  }
}

}  // namespace test

#define MU_TEST(suite, name)                                                            \
  static void suite##_##name();                                                         \
  static const test::Registration suite##_##name##_registered(#suite, #name, suite##_##name); \
  static void suite##_##name()

#define CHECK(condition)                              \
  do {                                                \
    if (!(condition)) {                               \
      test::failed(__FILE__, __LINE__, #condition);   \
    }                                                 \
  } while (false)

#define CHECK_EQUAL(a, b) test::check_equal((a), (b), #a " == " #b, __FILE__, __LINE__)

#endif

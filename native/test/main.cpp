/* main.cpp - runs the tests of the suites named as arguments (of all without any); exit status 1 when one fails. */
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "check.h"

namespace test {
namespace {

struct Test {
  const char* suite;
  const char* name;
  void (*body)();
};

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

std::vector<std::string>& scopes() {
  static std::vector<std::string> open;
  return open;
}

bool run(const Test& one) {
  try {
    one.body();
    return true;
  } catch (const std::exception& failure) {
    std::printf("FAILED %s.%s\n  %s\n", one.suite, one.name, failure.what());
    return false;
  }
}

}  // namespace

Scope::Scope(std::string text) {
  scopes().push_back(std::move(text));
}

Scope::~Scope() {
  scopes().pop_back();
}

void register_test(const char* suite, const char* name, void (*body)()) {
  tests().push_back(Test{suite, name, body});
}

void failed(const char* file, int line, const std::string& text) {
  std::ostringstream out;
  out << file << ":" << line << ": " << text;
  for (const std::string& scope : scopes()) {
    out << "\n  in " << scope;
  }
  throw Failure(out.str());
}

void skipped(const std::string& reason) {
  std::printf("SKIPPED: %s\n", reason.c_str());
}

}  // namespace test

int main(int count, char** arguments) {
  int failures = 0;
  int runs = 0;
  for (const test::Test& one : test::tests()) {
    const bool chosen = count < 2 || std::any_of(arguments + 1, arguments + count, [&](const char* suite) {
                          return std::strcmp(suite, one.suite) == 0;
                        });
    if (chosen) {
      ++runs;
      failures += test::run(one) ? 0 : 1;
    }
  }
  std::printf("%d tests, %d failed\n", runs, failures);
  return failures == 0 && runs > 0 ? 0 : 1;
}

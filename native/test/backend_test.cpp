/* backend_test.cpp - opening backend libraries: a right one, and each way of being wrong. */
#include <string>

#include "check.h"
#include "tiers.h"

namespace {

std::string library(const char* name) {
  return std::string(MU_TEST_BACKENDS) + "/" + name;
}

mu_status open_backend(const std::string& path, int32_t device, mu_context** context) {
  return mu_context_create(MU_BACKEND_CUDA, path.c_str(), device, nullptr, MU_TIER_AUTO, context);
}

void unavailable(const std::string& path, const char* reason) {
  mu_context* context = nullptr;
  CHECK_EQUAL(open_backend(path, 0, &context), MU_BACKEND_UNAVAILABLE);
  CHECK(context == nullptr);
  const std::string text = mu_last_error();
  const test::Scope scope(text);
  CHECK(text.find(path) != std::string::npos);
  CHECK(text.find(reason) != std::string::npos);
}

}  // namespace

MU_TEST(backend, calls_go_to_the_opened_library) {
  mu_context* context = nullptr;
  CHECK_EQUAL(open_backend(library("backend_right.so"), 0, &context), MU_OK);
  const test::Context owner(context);
  const float x[3] = {1.0f, 2.0f, 3.0f};
  double sum = 0.0;
  CHECK_EQUAL(mu_sum_squares(context, x, MU_F32, 0, 3, &sum), MU_OK);
  CHECK_EQUAL(sum, 4711.0); /* what the double answers */
  CHECK_EQUAL(mu_context_tier(context), MU_TIER_AUTO);
}

MU_TEST(backend, a_failure_to_open_keeps_the_backends_text) {
  mu_context* context = nullptr;
  CHECK_EQUAL(open_backend(library("backend_right.so"), 7, &context), MU_BACKEND_FAILURE);
  CHECK_EQUAL(std::string(mu_last_error()), std::string("there is no device 7"));
  CHECK(context == nullptr);
}

MU_TEST(backend, wrong_libraries_are_unavailable) {
  unavailable("/nowhere/libmuonium_cuda.so", "cannot be opened");
  unavailable(library("backend_stranger.so"), "no symbol mu_backend_table_v1");
  unavailable(library("backend_stale.so"), "built for ABI 999");
  unavailable(library("backend_gap.so"), "lacks the kernel adamw");
  unavailable(library("backend_short.so"), "bytes");
  unavailable(library("backend_empty.so"), "no table");
  unavailable(library("backend_closed.so"), "cannot open or close");
}

MU_TEST(backend, devices_are_ordinals) {
  mu_context* context = nullptr;
  CHECK_EQUAL(open_backend(library("backend_right.so"), -1, &context), MU_INVALID_ARGUMENT);
}

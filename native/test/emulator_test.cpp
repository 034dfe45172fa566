/*
 * emulator_test.cpp - the emulator of CUDA against definitions written out anew: shuffles, votes, barriers, tensor-core
 * fragments by the tables of the PTX ISA, asynchronous copies; and that it catches what it is there to catch.
 */
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/launch.h"
#include "cuda/mma.h"
#include "on_device.h"

namespace {

using namespace muonium::cuda;
using test::OnDevice;

/* Runs body with each of some orders of threads. */
void for_each_seed(const std::function<void()>& body) {
  for (const char* seed : {"0", "1", "2", "3", "17", "4711"}) {
    setenv("MU_EMULATOR_SEED", seed, 1);
    const test::Scope scope(std::string("seed ") + seed);
    body();
  }
  unsetenv("MU_EMULATOR_SEED");
}

/* What a child process writes to stderr that runs body and must be aborted; "" when it ends otherwise. */
std::string last_words(const std::function<void()>& body) {
  int ends[2];
  CHECK_EQUAL(pipe(ends), 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string words;
  char buffer[256];
  for (ssize_t got = read(ends[0], buffer, sizeof buffer); got > 0; got = read(ends[0], buffer, sizeof buffer)) {
    words.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? words : std::string();
}

void check_says(const std::string& words, const char* part) {
  if (words.find(part) == std::string::npos) {
    test::failed(__FILE__, __LINE__, "\"" + words + "\" does not say \"" + part + "\"");
  }
}

uint32_t bf16_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits >> 16;
}

/* Numbers that bf16 holds exactly. */
std::vector<float> exact_numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> numbers(count);
  for (float& x : numbers) {
    x = static_cast<float>(static_cast<int>(random() % 255) - 127) / 16.0f;
  }
  return numbers;
}

std::vector<uint16_t> to_bf16(const std::vector<float>& x) {
  std::vector<uint16_t> bits(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    bits[i] = static_cast<uint16_t>(bf16_bits(x[i]));
  }
  return bits;
}

/* --- warp functions ----------------------------------------------------------------------------------------------- */

template <class T>
__global__ void shuffles(T* out, const T* in, int mask, unsigned delta, int source) {
  const unsigned i = threadIdx.x;
  const T x = in[i];
  out[i] = shuffle_xor(x, mask);
  out[blockDim.x + i] = shuffle_down(x, delta);
  out[2 * blockDim.x + i] = shuffle(x, source + static_cast<int>(lane_index()) / 4);
}

template <class T>
void check_shuffles() {
  std::vector<T> in(96);
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<T>(3 * i + 1);
  }
  OnDevice<T> from(in);
  OnDevice<T> to(3 * in.size());
  CHECK_CUDA(launch(shuffles<T>, 1, 96, 0, nullptr, to.data(), from.data(), 5, 7, 30));
  const std::vector<T> out = to.values();
  for (size_t i = 0; i < 96; ++i) {
    const size_t warp = i / 32 * 32;
    const size_t lane = i % 32;
    CHECK_EQUAL(out[i], in[warp + (lane ^ 5)]);
    CHECK_EQUAL(out[96 + i], lane + 7 < 32 ? in[i + 7] : in[i]);
    CHECK_EQUAL(out[192 + i], in[warp + (30 + lane / 4) % 32]);
  }
}

__global__ void votes(uint32_t* out, const uint32_t* in) {
  const uint32_t x = in[threadIdx.x];
  out[threadIdx.x] = ballot(x % 3 == 0);
  out[64 + threadIdx.x] = any(x == 50) ? 1 : 0;
  out[128 + threadIdx.x] = reduce_max(x);
}

}  // namespace

MU_TEST(emulator, shuffles_move_values_between_lanes) {
  for_each_seed([] {
    check_shuffles<uint32_t>();
    check_shuffles<float>();
    check_shuffles<double>();
  });
}

MU_TEST(emulator, votes_and_maxima_are_the_warps) {
  std::vector<uint32_t> in(64);
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<uint32_t>(i * 37 % 64);
  }
  for_each_seed([&] {
    OnDevice<uint32_t> from(in);
    OnDevice<uint32_t> to(192);
    CHECK_CUDA(launch(votes, 1, 64, 0, nullptr, to.data(), from.data()));
    const std::vector<uint32_t> out = to.values();
    for (size_t i = 0; i < 64; ++i) {
      uint32_t bits = 0;
      uint32_t greatest = 0;
      bool fifty = false;
      for (size_t lane = 0; lane < 32; ++lane) {
        const uint32_t x = in[i / 32 * 32 + lane];
        bits |= (x % 3 == 0 ? 1u : 0u) << lane;
        greatest = std::max(greatest, x);
        fifty = fifty || x == 50;
      }
      CHECK_EQUAL(out[i], bits);
      CHECK_EQUAL(out[64 + i], fifty ? 1u : 0u);
      CHECK_EQUAL(out[128 + i], greatest);
    }
  });
}

/* --- blocks and grids --------------------------------------------------------------------------------------------- */

namespace {

/* Each block adds up its part through static shared memory. */
__global__ void block_sums(float* sums, const float* in, int count) {
  __shared__ float partial[4];
  float sum = 0.0f;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(count);
       i += gridDim.x * blockDim.x) {
    sum += in[i];
  }
  for (int mask = 16; mask > 0; mask /= 2) {
    sum += shuffle_xor(sum, mask);
  }
  if (lane_index() == 0) {
    partial[warp_index()] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = partial[0] + partial[1] + partial[2] + partial[3];
  }
}

/* As above without the barrier. */
__global__ void block_sums_without_barrier(float* sums, const float* in, int count) {
  __shared__ float partial[4];
  float sum = threadIdx.x < static_cast<unsigned>(count) ? in[threadIdx.x] : 0.0f;
  for (int mask = 16; mask > 0; mask /= 2) {
    sum += shuffle_xor(sum, mask);
  }
  if (lane_index() == 0) {
    partial[warp_index()] = sum;
  }
  if (threadIdx.x == 0) {
    sums[0] = partial[0] + partial[1] + partial[2] + partial[3];
  }
}

/* Writes a tile row by row and reads it column by column, twice; `guarded` is whether the second write waits. */
template <bool kGuarded>
__global__ void transposes(float* out, const float* in) {
  MU_DYNAMIC_SHARED(float, tile);
  const unsigned i = threadIdx.y * 8 + threadIdx.x;
  tile[i] = in[i];
  __syncthreads();
  out[i] = tile[threadIdx.x * 8 + threadIdx.y];
  if (kGuarded) {
    __syncthreads();
  }
  tile[i] = in[64 + i];
  __syncthreads();
  out[64 + i] = tile[threadIdx.x * 8 + threadIdx.y];
}

__global__ void places(uint32_t* out) {
  const uint32_t block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const uint32_t thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const uint32_t threads = blockDim.x * blockDim.y * blockDim.z;
  out[block * threads + thread] += block * threads + thread + 1;
}

std::vector<float> transposed_twice(bool guarded) {
  std::vector<float> in(128);
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<float>(i);
  }
  OnDevice<float> from(in);
  OnDevice<float> to(128);
  CHECK_CUDA(launch(guarded ? transposes<true> : transposes<false>, 1, dim3(8, 8), 64 * sizeof(float), nullptr,
                    to.data(), from.data()));
  return to.values();
}

bool is_transposed_twice(const std::vector<float>& out) {
  for (size_t i = 0; i < 128; ++i) {
    if (out[i] != static_cast<float>(i / 64 * 64 + i % 8 * 8 + i % 64 / 8)) {
      return false;
    }
  }
  return true;
}

}  // namespace

MU_TEST(emulator, blocks_reduce_through_shared_memory) {
  std::vector<float> in(1000);
  double total = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<float>(i % 17);
    total += in[i];
  }
  for_each_seed([&] {
    OnDevice<float> from(in);
    OnDevice<float> sums(3);
    CHECK_CUDA(launch(block_sums, 3, 128, 0, nullptr, sums.data(), from.data(), 1000));
    double sum = 0;
    for (const float x : sums.values()) {
      sum += static_cast<double>(x);
    }
    CHECK_EQUAL(sum, total);
  });
}

MU_TEST(emulator, every_thread_of_a_grid_of_three_dimensions_runs_once) {
  for_each_seed([] {
    const size_t threads = size_t{3} * 2 * 2 * (4 * 3 * 5);
    OnDevice<uint32_t> out(std::vector<uint32_t>(threads, 0));
    CHECK_CUDA(launch(places, dim3(3, 2, 2), dim3(4, 3, 5), 0, nullptr, out.data()));
    const std::vector<uint32_t> values = out.values();
    for (size_t i = 0; i < threads; ++i) {
      CHECK_EQUAL(values[i], i + 1);
    }
  });
}

MU_TEST(emulator, a_missing_barrier_before_a_read_shows) {
  int wrong = 0;
  for_each_seed([&] {
    OnDevice<float> from(std::vector<float>(128, 1.0f));
    OnDevice<float> sum(1);
    CHECK_CUDA(launch(block_sums_without_barrier, 1, 128, 0, nullptr, sum.data(), from.data(), 128));
    wrong += sum.values()[0] == 128.0f ? 0 : 1;
  });
  CHECK(wrong > 0);
}

MU_TEST(emulator, a_missing_barrier_before_a_write_shows) {
  int wrong = 0;
  for_each_seed([&] {
    CHECK(is_transposed_twice(transposed_twice(true)));
    wrong += is_transposed_twice(transposed_twice(false)) ? 0 : 1;
  });
  CHECK(wrong > 0);
}

/* --- tensor cores ------------------------------------------------------------------------------------------------- */

namespace {

/* D <- A B + C for one warp; the fragments are gathered element by element, by the tables of the PTX ISA. */
__global__ void multiply_gathered(float* d, const uint16_t* a, const uint16_t* b, const float* c) {
  const unsigned group = lane_index() >> 2;
  const unsigned in_group = lane_index() % 4;
  uint32_t fa[4] = {};
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
    const unsigned column = in_group * 2 + (i & 1) + (i < 4 ? 0 : 8);
    fa[i / 2] |= static_cast<uint32_t>(a[row * 16 + column]) << (16 * (i % 2));
  }
  uint32_t fb[2] = {};
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = in_group * 2 + (i & 1) + (i < 2 ? 0 : 8);
    fb[i / 2] |= static_cast<uint32_t>(b[row * 8 + group]) << (16 * (i % 2));
  }
  float fd[4];
  for (unsigned i = 0; i < 4; ++i) {
    fd[i] = c[(i < 2 ? group : group + 8) * 8 + in_group * 2 + (i & 1)];
  }
  mma_bf16(fd, fa, fb);
  for (unsigned i = 0; i < 4; ++i) {
    d[(i < 2 ? group : group + 8) * 8 + in_group * 2 + (i & 1)] = fd[i];
  }
}

/* The same with A and B in shared memory and ldmatrix; B is stored k x n, or n x k when transposed. */
template <bool kTransposed, bool kFour>
__global__ void multiply_loaded(float* d, const uint16_t* a, const uint16_t* b) {
  __shared__ __align__(16) uint16_t tile_a[16 * 16];
  __shared__ __align__(16) uint16_t tile_b[16 * 16];
  const unsigned lane = lane_index();
  for (unsigned i = lane; i < 256; i += 32) {
    tile_a[i] = a[i];
    tile_b[i] = i < 128 ? b[i] : 0;
  }
  __syncwarp();
  uint32_t fa[4];
  /* Matrices: upper left, lower left, upper right, lower right. */
  ldmatrix_x4(fa, tile_a + (lane % 16) * 16 + lane / 16 * 8);
  uint32_t fb[2];
  const uint16_t* row = kTransposed ? tile_b + (lane % 8) * 16 + lane / 8 % 2 * 8 : tile_b + (lane % 16) * 8;
  if (kFour) {
    uint32_t both[4];
    if (kTransposed) {
      ldmatrix_x4(both, row);
    } else {
      ldmatrix_x4_trans(both, row);
    }
    fb[0] = both[0];
    fb[1] = both[1];
  } else if (kTransposed) {
    ldmatrix_x2(fb, row);
  } else {
    ldmatrix_x2_trans(fb, row);
  }
  float fd[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  mma_bf16(fd, fa, fb);
  for (unsigned i = 0; i < 4; ++i) {
    d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = fd[i];
  }
}

/* Each lane's registers as ldmatrix leaves them. */
template <bool kTransposed>
__global__ void load_only(uint32_t* out, const uint16_t* in) {
  __shared__ __align__(16) uint16_t tile[4 * 64];
  for (unsigned i = lane_index(); i < 256; i += 32) {
    tile[i] = in[i];
  }
  __syncwarp();
  uint32_t r[4];
  if (kTransposed) {
    ldmatrix_x4_trans(r, tile + 8 * lane_index());
  } else {
    ldmatrix_x4(r, tile + 8 * lane_index());
  }
  for (unsigned i = 0; i < 4; ++i) {
    out[4 * lane_index() + i] = r[i];
  }
}

std::vector<float> product(const std::vector<float>& a, const std::vector<float>& b, const std::vector<float>& c) {
  std::vector<float> d(128);
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      double sum = static_cast<double>(c[i * 8 + j]);
      for (size_t k = 0; k < 16; ++k) {
        sum += static_cast<double>(a[i * 16 + k]) * static_cast<double>(b[k * 8 + j]);
      }
      d[i * 8 + j] = static_cast<float>(sum);
    }
  }
  return d;
}

}  // namespace

MU_TEST(emulator, mma_multiplies_fragments_of_the_ptx_isa) {
  const std::vector<float> a = exact_numbers(256, 1);
  const std::vector<float> b = exact_numbers(128, 2);
  const std::vector<float> c = exact_numbers(128, 3);
  for_each_seed([&] {
    OnDevice<uint16_t> on_a(to_bf16(a));
    OnDevice<uint16_t> on_b(to_bf16(b));
    OnDevice<float> on_c(c);
    OnDevice<float> d(128);
    CHECK_CUDA(launch(multiply_gathered, 1, 32, 0, nullptr, d.data(), on_a.data(), on_b.data(), on_c.data()));
    CHECK(d.values() == product(a, b, c));
  });
}

MU_TEST(emulator, ldmatrix_makes_the_fragments_of_mma) {
  const std::vector<float> a = exact_numbers(256, 4);
  const std::vector<float> b = exact_numbers(128, 5);
  std::vector<float> across(128);
  for (size_t k = 0; k < 16; ++k) {
    for (size_t j = 0; j < 8; ++j) {
      across[j * 16 + k] = b[k * 8 + j];
    }
  }
  const std::vector<float> expected = product(a, b, std::vector<float>(128, 0.0f));
  OnDevice<uint16_t> on_a(to_bf16(a));
  OnDevice<uint16_t> plain(to_bf16(b));
  OnDevice<uint16_t> transposed(to_bf16(across));
  for (const bool four : {false, true}) {
    OnDevice<float> d(128);
    CHECK_CUDA(launch(four ? multiply_loaded<false, true> : multiply_loaded<false, false>, 1, 32, 0, nullptr, d.data(),
                      on_a.data(), plain.data()));
    CHECK(d.values() == expected);
    CHECK_CUDA(launch(four ? multiply_loaded<true, true> : multiply_loaded<true, false>, 1, 32, 0, nullptr, d.data(),
                      on_a.data(), transposed.data()));
    CHECK(d.values() == expected);
  }
}

MU_TEST(emulator, ldmatrix_hands_out_pairs_by_lane) {
  std::vector<uint16_t> in(256);
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<uint16_t>(i);
  }
  OnDevice<uint16_t> from(in);
  for (const bool transposed : {false, true}) {
    OnDevice<uint32_t> to(128);
    CHECK_CUDA(
        launch(transposed ? load_only<true> : load_only<false>, 1, 32, 0, nullptr, to.data(), from.data()));
    const std::vector<uint32_t> out = to.values();
    for (uint32_t lane = 0; lane < 32; ++lane) {
      for (uint32_t m = 0; m < 4; ++m) {
        /* Element [row][column] of matrix m has the number 64 m + 8 row + column. */
        const uint32_t low = 64 * m + (transposed ? 8 * (lane % 4 * 2) + lane / 4 : 8 * (lane / 4) + lane % 4 * 2);
        CHECK_EQUAL(out[4 * lane + m], low | ((low + (transposed ? 8 : 1)) << 16));
      }
    }
  }
}

MU_TEST(emulator, two_floats_are_packed_to_nearest_even) {
  CHECK_EQUAL(pack_bf16(1.0f, -2.0f), 0xc0003f80u);
  /* Half-way cases go to the even neighbour. */
  CHECK_EQUAL(pack_bf16(1.00390625f, 1.01171875f), 0x3f823f80u);
  CHECK_EQUAL(pack_bf16(INFINITY, NAN), 0x7fff7f80u);
}

/* --- asynchronous copies ------------------------------------------------------------------------------------------ */

namespace {

/* Copies two tiles, the second while the first is used. `waits` is how many of the two waits are made. */
template <int kWaits>
__global__ void copy_tiles(uint32_t* out, const uint32_t* in, int valid) {
  __shared__ __align__(16) uint32_t tiles[2][128];
  const unsigned i = 4 * threadIdx.x;
  copy_async16(&tiles[0][i], in + i);
  copy_async_commit();
  copy_async16_or_zero(&tiles[1][i], in + 128 + i, static_cast<int>(threadIdx.x) < valid);
  copy_async_commit();
  if (kWaits > 0) {
    copy_async_wait<1>();
  }
  __syncthreads();
  for (unsigned k = 0; k < 4; ++k) {
    out[i + k] = tiles[0][127 - i - k];
  }
  if (kWaits > 1) {
    copy_async_wait<0>();
  }
  __syncthreads();
  for (unsigned k = 0; k < 4; ++k) {
    out[128 + i + k] = tiles[1][127 - i - k];
  }
}

std::vector<uint32_t> copied(void (*kernel)(uint32_t*, const uint32_t*, int)) {
  std::vector<uint32_t> in(256);
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<uint32_t>(1000 + i);
  }
  OnDevice<uint32_t> from(in);
  OnDevice<uint32_t> to(256);
  CHECK_CUDA(launch(kernel, 1, 32, 0, nullptr, to.data(), from.data(), 20));
  return to.values();
}

}  // namespace

MU_TEST(emulator, asynchronous_copies_are_there_after_their_wait_and_not_before) {
  for_each_seed([] {
    const std::vector<uint32_t> both = copied(copy_tiles<2>);
    const std::vector<uint32_t> first = copied(copy_tiles<1>);
    const std::vector<uint32_t> none = copied(copy_tiles<0>);
    for (uint32_t i = 0; i < 128; ++i) {
      const uint32_t source = 127 - i;
      CHECK_EQUAL(both[i], 1000 + source);
      CHECK_EQUAL(both[128 + i], source / 4 < 20 ? 1128 + source : 0);
      CHECK_EQUAL(first[i], 1000 + source);
      CHECK_EQUAL(first[128 + i], 0xffffffffu);
      CHECK_EQUAL(none[i], 0xffffffffu);
    }
  });
}

/* --- what must not pass ------------------------------------------------------------------------------------------- */

namespace {

__global__ void half_a_warp_shuffles(float* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = shuffle_xor(1.0f, 1);
  }
}

__global__ void lanes_part(float* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = shuffle_xor(1.0f, 1);
  } else {
    out[threadIdx.x] = shuffle_xor(2.0f, 1);
  }
}

__global__ void warps_part(float* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
    out[0] = 1.0f;
  } else {
    __syncthreads();
    out[1] = 1.0f;
  }
}

__global__ void one_leaves(float* out) {
  if (threadIdx.x == 40) {
    return;
  }
  __syncthreads();
  out[threadIdx.x] = 1.0f;
}

__global__ void one_waits_elsewhere(float* out) {
  if (threadIdx.x == 32) {
    __syncwarp();
  }
  __syncthreads();
  out[threadIdx.x] = 1.0f;
}

__global__ void loads_misaligned(uint32_t* out) {
  out[0] = load16(out + 1).x;
}

template <class T>
std::string words_of(void (*kernel)(T*), unsigned threads) {
  return last_words([&] {
    OnDevice<T> out(256);
    launch(kernel, 1, threads, 0, nullptr, out.data());
    cudaDeviceSynchronize();
  });
}

}  // namespace

MU_TEST(emulator, divergence_is_reported) {
  for_each_seed([] {
    const std::string half = words_of(half_a_warp_shuffles, 32);
    check_says(half, "half_a_warp_shuffles");
    check_says(half, "return");
    check_says(words_of(lanes_part, 32), "the lanes of this warp diverge");
    check_says(words_of(warps_part, 64), "the threads of this block diverge");
    check_says(words_of(one_leaves, 64), "returned");
    check_says(words_of(one_waits_elsewhere, 64), "deadlock");
    check_says(words_of(half_a_warp_shuffles, 16), "not a multiple of 32");
    check_says(words_of(loads_misaligned, 1), "not a multiple of 16");
  });
}

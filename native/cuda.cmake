# The CUDA backend, as nvcc builds it: src/build/cuda.sh calls this in a build folder of its own.

enable_language(CUDA)
find_package(CUDAToolkit 13 REQUIRED)

set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20) # CMake 3.25 does not know yet that nvcc can.
endif()
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -DNDEBUG")
# The runtime is the system's, and the one that the JVM has opened already: two would have two ideas of the current device.
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)

# --fmad=false: a multiplication and an addition round twice, as on the CPU, or codes would differ. True division and square
# roots, and denormal numbers, are nvcc's defaults; --use_fast_math would change all of it and is never used.
# Not -Wpedantic: it complains of the line directives in what nvcc makes of the source.
function(muonium_cuda_options target)
  target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Werror=all-warnings
      -Xcompiler=-Wall,-Wextra,-Wconversion,-Werror,-ffp-contract=off,-fno-math-errno>)
  target_include_directories(${target} PRIVATE src include)
endfunction()

add_library(muonium_cuda SHARED EXCLUDE_FROM_ALL ${MUONIUM_CUDA_SOURCES})
muonium_cuda_options(muonium_cuda)
target_compile_options(muonium_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-fno-exceptions,-fno-rtti>)
# No run path: the libraries of CUDA are where the JVM found them, which opens them before this one.
set_target_properties(muonium_cuda PROPERTIES LINKER_LANGUAGE CXX CUDA_VISIBILITY_PRESET hidden SKIP_BUILD_RPATH ON)
target_link_options(muonium_cuda PRIVATE -static-libstdc++ -static-libgcc -Wl,--exclude-libs,ALL -Wl,--no-undefined
    -Wl,-z,relro,-z,now)
target_link_libraries(muonium_cuda PRIVATE CUDA::cudart)

# The kernels on a real GPU: checked, then measured. Built on request; looks for the two libraries beside itself.
add_executable(muonium_cuda_bench EXCLUDE_FROM_ALL bench/cuda_bench.cu)
muonium_cuda_options(muonium_cuda_bench)
target_include_directories(muonium_cuda_bench PRIVATE .)
set_target_properties(muonium_cuda_bench PROPERTIES LINKER_LANGUAGE CXX BUILD_WITH_INSTALL_RPATH ON
    INSTALL_RPATH "$ORIGIN")
target_link_options(muonium_cuda_bench PRIVATE -static-libstdc++ -static-libgcc)
target_link_libraries(muonium_cuda_bench PRIVATE muonium CUDA::cudart ${CMAKE_DL_LIBS})

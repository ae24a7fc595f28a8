# Language level, warnings, sanitizers, and ccache that also caches with a precompiled header.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET default)
set(THREADS_PREFER_PTHREAD_FLAG ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

find_program(BITSEARCH_CCACHE ccache)
if(BITSEARCH_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # A precompiled header hides its inputs from ccache: without this sloppiness nothing is cached.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
      "${BITSEARCH_CCACHE}")
endif()

add_library(bitsearch_compile_options INTERFACE)
target_include_directories(bitsearch_compile_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(bitsearch_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overlaps in std::string operations that are not there (GCC bug 105651).
  target_compile_options(bitsearch_compile_options INTERFACE -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(bitsearch_compile_options INTERFACE -fpch-preprocess)
endif()
if(BITSEARCH_SANITIZE)
  target_compile_options(bitsearch_compile_options INTERFACE
    "-fsanitize=${BITSEARCH_SANITIZE}" -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(bitsearch_compile_options INTERFACE "-fsanitize=${BITSEARCH_SANITIZE}")
endif()

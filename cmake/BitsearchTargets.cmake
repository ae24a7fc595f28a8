# The three kinds of target this project has, so that a room's CMakeLists.txt is a list of files.

# bitsearch_library(name SOURCES a.cc ... [DEPS target ...])
# A torch-free static library.
function(bitsearch_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC bitsearch_compile_options ${ARG_DEPS})
endfunction()

# bitsearch_torch_library(name SOURCES a.cc ... [DEPS target ...])
# A static library whose .cc files see LibTorch through the one precompiled header.
function(bitsearch_torch_library name)
  if(NOT BITSEARCH_WITH_TORCH)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC bitsearch_compile_options ${ARG_DEPS} bitsearch_torch_headers)
  target_precompile_headers(${name} REUSE_FROM bitsearch_torch_pch)
endfunction()

# bitsearch_use_torch_headers(executable)
# Lets an executable's own sources include LibTorch through the one precompiled header. That one is
# compiled with -fPIC; CMake would give an executable -fPIE, and GCC then ignores the header.
function(bitsearch_use_torch_headers name)
  target_link_libraries(${name} PRIVATE bitsearch_torch_headers)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM bitsearch_torch_pch)
endfunction()

# bitsearch_test(name SOURCES a.cc ... [DEPS ...] [LABEL unit|torch|slow] [TORCH])
# TORCH: the test's own sources include LibTorch. A torch binary is registered as one CTest test
# because each start costs 0.8 s; a torch-free one is registered case by case.
function(bitsearch_test name)
  cmake_parse_arguments(ARG "TORCH" "LABEL" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if((ARG_TORCH OR ARG_LABEL STREQUAL "torch") AND NOT BITSEARCH_WITH_TORCH)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE bitsearch_compile_options ${ARG_DEPS} bitsearch_test_support
                        GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    BITSEARCH_SHARED_DATA="${BITSEARCH_SHARED_DATA}" BITSEARCH_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    BITSEARCH_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(ARG_TORCH)
    bitsearch_use_torch_headers(${name})
  endif()
  if(ARG_LABEL STREQUAL "unit")
    include(GoogleTest)
    gtest_discover_tests(${name} PROPERTIES LABELS unit DISCOVERY_TIMEOUT 60)
  else()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 1800)
  endif()
endfunction()

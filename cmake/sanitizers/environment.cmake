# Read by CTest before it runs the tests of a sanitized build, so that `ctest` and `./check` need no
# environment of the user's. What the sanitizers report of code that is not ours stands in the lists
# beside this file, each line with its reason.

function(bitsearch_sanitizer_options variable options)
  if(DEFINED ENV{${variable}})
    string(PREPEND options "$ENV{${variable}}:")
  endif()
  set(ENV{${variable}} "${options}")
endfunction()

# The executable and the LibTorch module hold copies of the same static libraries: no violation, for
# the module's names are its own (RTLD_LOCAL).
bitsearch_sanitizer_options(ASAN_OPTIONS "detect_odr_violation=0")
bitsearch_sanitizer_options(LSAN_OPTIONS
  "suppressions=${CMAKE_CURRENT_LIST_DIR}/leaks.txt:print_suppressions=0")
bitsearch_sanitizer_options(UBSAN_OPTIONS "print_stacktrace=1")
bitsearch_sanitizer_options(TSAN_OPTIONS "suppressions=${CMAKE_CURRENT_LIST_DIR}/races.txt")

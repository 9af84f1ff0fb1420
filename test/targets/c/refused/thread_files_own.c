// What only a thread with a descriptor table of its own has open.
// refused: process [0-9]+ \(thread_files_ow\), descriptor [0-9]+: pipe:.*: it is open only in a thread
#define REFUSED true
#include "../thread_files_own.c"

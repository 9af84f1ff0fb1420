#!/bin/bash
# Builds a project by make -j4, again and again, each time from nothing; the
# result must be that of the first build, which nobody has disturbed, byte by
# byte.
#
# Usage: project.sh
set -eu
files=24
export TMPDIR=$PWD/tmp
mkdir -p tmp source build
for ((i = 0; i < files; i++)); do
	{
		printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n'
		for ((j = 0; j < 40; j++)); do
			printf 'double f%d_%d(double *p, int n) { double s = %d; for (int i = 1; i < n; i++) { p[i] = sqrt(p[i - 1] + %d) + i %% %d; s += p[i] > %d ? p[i] : -p[i]; } if (s > 1e9) printf("%%g\\n", s); return s; }\n' $i $j $j $i $((j + 2)) $((i * j))
		done
	} >source/f$i.c
done
{
	for ((i = 0; i < files; i++)); do printf 'double f%d_7(double *, int);\n' $i; done
	printf '#include <stdio.h>\nint main(void) { double p[100] = {1}, s = 0;\n'
	for ((i = 0; i < files; i++)); do printf 's += f%d_7(p, 100);\n' $i; done
	printf 'printf("%%.17g\\n", s); }\n'
} >source/main.c
cat >Makefile <<'M'
objects := $(patsubst source/%.c,build/%.o,$(wildcard source/*.c))
build/program: build/lib.a build/main.o
	gcc -pipe -o $@ build/main.o build/lib.a -lm
build/lib.a: $(filter-out build/main.o,$(objects))
	ar rcs $@ $(sort $^)
build/%.o: source/%.c
	gcc -O2 -c -o $@ $<
	@echo $@ >>progress
M
answer() {
	printf %s "$1" >result.new
	mv result.new result
	exit 0
}
make -s -j4 >first.log 2>&1
cp -r build reference
n=0
while [ ! -e stop ]; do
	rm -rf build
	mkdir build
	if ! make -j4 >make.log 2>&1; then answer "fail: build $n: $(tail -3 make.log)"; fi
	diff -r build reference >diff.log 2>&1 || answer "fail: build $n is another: $(head -3 diff.log)"
	[ "$(./build/program)" = "$(./reference/program)" ] || answer "fail: build $n computes something else"
	[ -z "$(ls tmp)" ] || answer "fail: build $n left temporary files: $(ls tmp)"
	n=$((n + 1))
done
answer pass

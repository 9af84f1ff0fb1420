package cpufeature

import (
	"fmt"
	"strings"

	"lxc-checkpoint/internal/sys"
)

// register is one of those that cpuid(1) answers in.
type register int

const (
	eax register = iota
	ebx
	ecx
	edx
)

// words are the answers of cpuid that have bits for instructions and
// registers, and the names of these bits, "bit:name", as the kernel has them
// (arch/x86/include/asm/cpufeatures.h; Intel SDM volume 2, CPUID; AMD APM
// volume 3, appendix E). /proc/cpuinfo will not do: an older kernel does not
// know the names of what the CPU can do all the same.
var words = []struct {
	leaf, subleaf uint32
	register      register
	bits          string
}{
	{1, 0, edx, "0:fpu 4:tsc 8:cx8 15:cmov 19:clflush 23:mmx 24:fxsr 25:sse 26:sse2"},
	{1, 0, ecx, "0:pni 1:pclmulqdq 9:ssse3 12:fma 13:cx16 19:sse4_1 20:sse4_2 22:movbe 23:popcnt 25:aes 27:osxsave 28:avx 29:f16c 30:rdrand"},
	{7, 0, ebx, "0:fsgsbase 3:bmi1 4:hle 5:avx2 8:bmi2 11:rtm 14:mpx 16:avx512f 17:avx512dq 18:rdseed 19:adx 21:avx512ifma " +
		"23:clflushopt 24:clwb 26:avx512pf 27:avx512er 28:avx512cd 29:sha_ni 30:avx512bw 31:avx512vl"},
	{7, 0, ecx, "1:avx512vbmi 4:ospke 5:waitpkg 6:avx512_vbmi2 8:gfni 9:vaes 10:vpclmulqdq 11:avx512_vnni 12:avx512_bitalg " +
		"14:avx512_vpopcntdq 22:rdpid 25:cldemote 27:movdiri 28:movdir64b 29:enqcmd"},
	{7, 0, edx, "2:avx512_4vnniw 3:avx512_4fmaps 5:uintr 8:avx512_vp2intersect 14:serialize 16:tsxldtrk 22:amx_bf16 23:avx512_fp16 24:amx_tile 25:amx_int8"},
	{7, 1, eax, "0:sha512 1:sm3 2:sm4 3:raoint 4:avx_vnni 5:avx512_bf16 7:cmpccxadd 21:amx_fp16 23:avx_ifma 31:movrs"},
	{7, 1, edx, "4:avx_vnni_int8 5:avx_ne_convert 8:amx_complex 10:avx_vnni_int16 14:prefetchiti 15:user_msr 19:avx10 21:apx"},
	{0xd, 1, eax, "0:xsaveopt 1:xsavec 2:xgetbv1"},
	{0x80000001, 0, edx, "11:syscall 22:mmxext 27:rdtscp 29:lm 30:3dnowext 31:3dnow"},
	{0x80000001, 0, ecx, "0:lahf_lm 5:abm 6:sse4a 7:misalignsse 8:3dnowprefetch 11:xop 15:lwp 16:fma4 21:tbm 29:mwaitx"},
	{0x80000008, 0, ebx, "0:clzero 4:rdpru 9:wbnoinvd"},
}

// Usable lists what this CPU can do for programs.
func Usable() ([]string, error) {
	var names []string
	for _, w := range words {
		highest, _, _, _ := sys.Cpuid(w.leaf&0x80000000, 0)
		subleaves := uint32(1)
		if w.leaf == 7 {
			subleaves, _, _, _ = sys.Cpuid(7, 0)
		}
		if w.leaf > highest || w.subleaf > subleaves {
			continue
		}
		var answer [4]uint32
		answer[eax], answer[ebx], answer[ecx], answer[edx] = sys.Cpuid(w.leaf, w.subleaf)
		for pair := range strings.FieldsSeq(w.bits) {
			var bit int
			var name string
			if _, err := fmt.Sscanf(strings.Replace(pair, ":", " ", 1), "%d %s", &bit, &name); err != nil {
				return nil, fmt.Errorf("feature %q: %w", pair, err)
			}
			if answer[w.register]&(1<<bit) != 0 {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

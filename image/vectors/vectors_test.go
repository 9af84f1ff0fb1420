package vectors_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zeebo/xxh3"

	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/image/vectors"
)

// TestVectors compares what our reader makes of each vector with its file
// "expect". UPDATE=1 writes that file: to be looked at before it is kept.
func TestVectors(t *testing.T) {
	names, err := filepath.Glob("*/statefile")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 15 {
		t.Errorf("only %d vectors", len(names))
	}
	for _, name := range names {
		t.Run(filepath.Dir(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			have := describe(b)
			expect := filepath.Join(filepath.Dir(name), "expect")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(expect, []byte(have), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expect)
			if err != nil {
				t.Fatal(err)
			}
			if have != string(want) {
				t.Errorf("have:\n%swant:\n%s", have, want)
			}
		})
	}
}

// describe reads a statefile and says what README.md says.
func describe(b []byte) string {
	r, err := reader.New(bytes.NewReader(b))
	if err != nil {
		return refused(err)
	}
	defer r.Close()
	s, err := r.Skeleton()
	if err != nil {
		return refused(err)
	}
	var mu sync.Mutex
	var pages []string
	err = r.Contents(context.Background(), 2, func(owner uint32, offset uint64, data []byte) error {
		mu.Lock()
		defer mu.Unlock()
		for at := 0; at < len(data); at += vectors.Page {
			pages = append(pages, fmt.Sprintf("page: owner %d, offset %#x, XXH3-64 %016x\n", owner, offset+uint64(at), xxh3.Hash(data[at:at+vectors.Page])))
		}
		return nil
	})
	if err != nil {
		return refused(err)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "result: accepted\nimage id: %016x\n", s.Header.ImageId)
	for _, p := range s.Processes {
		fmt.Fprintf(&out, "process: %d, parent %d, %d tasks, name %q\n", p.Pid, p.Parent, len(p.Tasks), p.Tasks[0].Name)
		if mm := s.Mm(p.Mm); mm != nil {
			fmt.Fprintf(&out, "program: %q, %d mappings\n", mm.Exe.Path, len(mm.Vmas))
		}
	}
	slices.Sort(pages)
	return out.String() + strings.Join(pages, "")
}

func refused(err error) string {
	var damage *reader.DamageError
	var version *reader.VersionError
	switch {
	case errors.As(err, &version):
		return fmt.Sprintf("result: refused\nbecause: version %d\n", version.Version)
	case errors.As(err, &damage) && damage.Truncated:
		return fmt.Sprintf("result: refused\nwhere: byte %d\nbecause: truncated\n", damage.Offset)
	case errors.As(err, &damage):
		return fmt.Sprintf("result: refused\nwhere: byte %d, %s\nbecause: %v\n", damage.Offset, damage.Where, damage.Err)
	}
	return fmt.Sprintf("result: refused\nbecause: %v\n", err)
}

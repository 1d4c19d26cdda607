package overload

import (
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
)

// heap is how much of most bytes the process's memory is.
func heap(most uint64) func() (float64, error) {
	return func() (float64, error) {
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		metrics.Read(s)
		used := s[0].Value.Uint64() - s[1].Value.Uint64() - s[2].Value.Uint64()
		return float64(used) / float64(most), nil
	}
}

// cgroupMemory is how full the process's cgroup is; most bounds the limit,
// 0: it doesn't.
func cgroupMemory(most uint64) func() (float64, error) {
	return func() (float64, error) {
		used, err := readNumber("/sys/fs/cgroup/memory.current")
		if err != nil {
			return 0, err
		}
		limit, err := readNumber("/sys/fs/cgroup/memory.max")
		if err != nil {
			return 0, err
		}
		if most > 0 {
			limit = min(limit, most)
		}
		if limit == 0 {
			return 0, fmt.Errorf("the cgroup's limit is 0")
		}
		return float64(used) / float64(limit), nil
	}
}

// readNumber reads a file with one number; "max" is the largest.
func readNumber(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(b))
	if text == "max" {
		return 1 << 63, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

// injected is the number in a file, from 0 to 1: for tests.
func injected(file string) func() (float64, error) {
	return func() (float64, error) {
		b, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		p, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
		if err == nil && (p < 0 || p > 1) {
			err = fmt.Errorf("%v is not within 0 and 1", p)
		}
		return p, err
	}
}

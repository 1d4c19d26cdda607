package cdnloop

import "testing"

func TestCount(t *testing.T) {
	for list, want := range map[string]int{ // -1: refused
		"": 0, ", ,a,,b ,": 0, "me": 1, "me, x,me": 2, "me:80": 0, "ME": 0, "me;a=b ; c=\"d, me\", me": 2,
		"[::1]:80, me": 1, "a:": 0,
		"a b": -1, "a;": -1, "a;b": -1, "a;b=": -1, "a;b=\"c": -1, "a;b=\"c\\": -1, "[::1": -1, "[]": -1, "a;b =c": -1, "a, b:x": -1, ";": -1, "me\x00": -1,
	} {
		n, ok := count(list, "me")
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d, want %d", list, n, want)
		}
	}
}

func FuzzCount(f *testing.F) {
	for _, s := range []string{"a, b;c=d", "[::1]:80;q=\"x\\\"\"", ",,", "a;b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		n, ok := count(list, "me")
		if !ok {
			return
		}
		if again, ok := count(list+",me", "me"); !ok || again != n+1 {
			t.Errorf("%q has it %d times, with one more %d (%v)", list, n, again, ok)
		}
	})
}

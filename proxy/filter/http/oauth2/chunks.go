package oauth2

import (
	"strconv"
	"strings"
)

// chunkSettings are a TokenCookieChunking compiled.
type chunkSettings struct {
	size  int // bytes of the largest cookie, with name and attributes
	count int // the most cookies of one token
}

// maxChunks is how many cookies of one token are put together again.
const maxChunks = 16

// The cookies of a split token are called name_0, name_1, …, and name_chunks
// says how many they are.
const countSuffix = "_chunks"

func chunkName(base string, i int) string { return base + "_" + strconv.Itoa(i) }

// chunked tells how many cookies a token is split into: 0 when it is not, -1
// when what there is makes no sense.
func (j jar) chunked(base string) int {
	if !j.has(base + countSuffix) {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(j.get(base + countSuffix)))
	if err != nil || n < 1 || n > maxChunks {
		return -1
	}
	for i := range maxChunks {
		if j.has(chunkName(base, i)) != (i < n) {
			return -1
		}
	}
	return n
}

// chunkNames are the names that the cookies of a split token have.
func chunkNames(base string, chunked int) []string {
	if chunked == 0 {
		return nil
	}
	if chunked < 0 {
		chunked = maxChunks
	}
	names := []string{base + countSuffix}
	for i := range chunked {
		names = append(names, chunkName(base, i))
	}
	return names
}

// reassemble puts split tokens together, and tells whether there were any.
func (s *settings) reassemble(j *jar, st *Stats) (changed bool) {
	for _, k := range tokenCookies {
		base := s.cookies[k].name
		n := j.chunked(base)
		if n == 0 {
			continue
		}
		changed = true
		if n > 0 {
			st.CookieReassembled.Inc()
			var b strings.Builder
			for i := range n {
				b.WriteString(j.get(chunkName(base, i)))
			}
			j.set(base, b.String())
		} else {
			st.CookieMalformed.Inc()
		}
		names := map[string]bool{}
		for _, name := range chunkNames(base, n) {
			names[name] = true
		}
		j.remove(func(name string) bool { return names[name] })
	}
	return changed
}

// tokenCookie are the set-cookies by which the agent keeps a token, or forgets
// it when it is "", as well as what it kept of the last one. split tells that
// they are several; ok is false for a token that is too long.
func (s *settings) tokenCookie(arrived jar, k cookieKind, value, age string) (out []string, split, ok bool) {
	base, path := s.cookies[k].name, s.cookies[k].path
	attributes := s.attributes(k, age)
	stale := chunkNames(base, arrived.chunked(base))
	single := base + "=" + value + attributes
	if value != "" && s.chunks != nil && len(single) > s.chunks.size {
		out, ok = s.splitCookie(arrived, k, value, attributes, stale)
		return out, true, ok
	}
	if value == "" && arrived.has(base) {
		out = append(out, s.deletion(base, path))
	}
	for _, name := range stale {
		out = append(out, s.deletion(name, path))
	}
	if value != "" {
		out = append(out, single)
	}
	return out, false, true
}

func (s *settings) splitCookie(arrived jar, k cookieKind, value, attributes string, stale []string) (out []string, ok bool) {
	base, path := s.cookies[k].name, s.cookies[k].path
	// Each piece leaves room for the longest name.
	room := s.chunks.size - len(chunkName(base, maxChunks-1)+"=") - len(attributes)
	if room <= 0 || len(value) > room*s.chunks.count {
		return nil, false
	}
	n := (len(value) + room - 1) / room
	if arrived.has(base) {
		out = append(out, s.deletion(base, path))
	}
	for _, name := range stale[min(len(stale), 1+n):] {
		out = append(out, s.deletion(name, path))
	}
	for i := range n {
		piece := value[i*room : min((i+1)*room, len(value))]
		out = append(out, chunkName(base, i)+"="+piece+attributes)
	}
	return append(out, base+countSuffix+"="+strconv.Itoa(n)+attributes), true
}

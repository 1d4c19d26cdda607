package basicauth

import (
	"crypto/sha1" // htpasswd's {SHA} form is what Envoy takes
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// users are the SHA-1 sums of passwords, in base64, by name.
type users map[string]string

// parseUsers reads lines "name:{SHA}sum".
func parseUsers(text string) (users, error) {
	if text == "" {
		return nil, errors.New("there are no users")
	}
	out := users{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		switch {
		case !ok:
			return nil, errors.New("invalid htpasswd format: username:password is expected")
		case name == "" || hash == "":
			return nil, errors.New("invalid htpasswd format: empty user name or password")
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("invalid htpasswd format: duplicate user %q", name)
		}
		sum, ok := strings.CutPrefix(hash, "{SHA}")
		if !ok {
			return nil, errors.New("unsupported htpasswd format: please use {SHA}")
		}
		if len(sum) != base64.StdEncoding.EncodedLen(sha1.Size) {
			return nil, errors.New("invalid htpasswd format: invalid SHA hash length")
		}
		out[name] = sum
	}
	return out, nil
}

// check tells whether the user has that password. It takes as long for a
// user who is not known.
func (u users) check(name, password string) bool {
	sum := sha1.Sum([]byte(password))
	var text [28]byte
	base64.StdEncoding.Encode(text[:], sum[:])
	want, known := u[name]
	if !known {
		want = "----------------------------"
	}
	return subtle.ConstantTimeCompare(text[:], []byte(want)) == 1 && known
}

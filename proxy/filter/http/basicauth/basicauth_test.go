package basicauth

import (
	"strings"
	"testing"
)

const secret = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=" // "secret"

func TestUsers(t *testing.T) {
	u, err := parseUsers("# a comment\nme:" + secret + "\r\n\nyou:{SHA}/gvk9z0a2Wz4LtMr8NJNc2kEB4U=\n")
	if err != nil || len(u) != 2 {
		t.Fatal(u, err)
	}
	for _, c := range []struct {
		name, password string
		ok             bool
	}{{"me", "secret", true}, {"me", "Secret", false}, {"me", "", false}, {"you", "secret", false}, {"nobody", "secret", false}, {"", "", false}} {
		if u.check(c.name, c.password) != c.ok {
			t.Errorf("%+v", c)
		}
	}
}

func TestUsersRefused(t *testing.T) {
	for text, want := range map[string]string{
		"me":                              "username:password is expected",
		":x":                              "empty user name",
		"me:":                             "empty user name or password",
		"me:$apr1$x":                      "please use {SHA}",
		"me:{SHA}short":                   "invalid SHA hash length",
		"me:" + secret + "\nme:" + secret: "duplicate user",
	} {
		if _, err := parseUsers(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseUsers(f *testing.F) {
	f.Add("me:" + secret)
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseUsers(text)
		if err == nil && u.check("", "") {
			t.Errorf("%q lets nobody in", text)
		}
	})
}

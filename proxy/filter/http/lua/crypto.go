package lua

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // the hashes that scripts may name
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var hashes = map[string]crypto.Hash{"sha1": crypto.SHA1, "sha224": crypto.SHA224, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

// publicKey is an imported key; der is "" when it can't be read.
type publicKey struct {
	*side
	der string
}

var publicKeyMethods = map[string]lua.LGFunction{
	// What get returns names the key to verifySignature.
	"get": func(l *lua.LState) int {
		k := self[*publicKey](l)
		if k.der == "" {
			return push(l, lua.LNil)
		}
		return push(l, lua.LString(k.der))
	},
}

// importPublicKey implements handle:importPublicKey(der, length): a
// SubjectPublicKeyInfo, which the stream then knows.
func importPublicKey(l *lua.LState) int {
	s, der := self[*side](l), cut(l, 2)
	k := &publicKey{side: s}
	if key, err := x509.ParsePKIXPublicKey([]byte(der)); err == nil && len(s.f.keys) < maxKeys {
		if s.f.keys == nil {
			s.f.keys = map[string]crypto.PublicKey{}
		}
		s.f.keys[der], k.der = key, der
	}
	return push(l, s.v.wrap(l, publicKeyType, k))
}

// maxKeys bounds the keys of a stream.
const maxKeys = 64

// verifySignature implements handle:verifySignature(hash, key, signature,
// length, data, length) → ok, error text. An RSA or ECDSA check takes some
// ten microseconds.
func verifySignature(l *lua.LState) int {
	s := self[*side](l)
	name, key, signature, data := l.CheckString(2), s.f.keys[l.CheckString(3)], cut(l, 4), cut(l, 6)
	if key == nil {
		l.RaiseError("invalid public key")
	}
	hash, ok := hashes[strings.ToLower(name)]
	if !ok {
		return unverified(l, name+" is not supported.")
	}
	h := hash.New()
	h.Write([]byte(data))
	digest := h.Sum(nil)
	switch k := key.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(k, hash, digest, []byte(signature)) == nil
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(k, digest, []byte(signature))
	default:
		return unverified(l, "Failed to initialize digest verify.")
	}
	if !ok {
		return unverified(l, "Failed to verify digest. Error code: 0")
	}
	l.Push(lua.LTrue)
	return 1
}

func unverified(l *lua.LState, why string) int {
	l.Push(lua.LFalse)
	l.Push(lua.LString(why))
	return 2
}

// cut is the string argument n, as long as argument n+1 says.
func cut(l *lua.LState, n int) string {
	s, size := l.CheckString(n), l.CheckInt(n+1)
	if size < 0 {
		l.ArgError(n+1, "the length is negative")
	}
	return s[:min(size, len(s))]
}

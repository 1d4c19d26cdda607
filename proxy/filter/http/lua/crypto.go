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

// importPublicKey implements handle:importPublicKey(der, length): a
// SubjectPublicKeyInfo. A key that can't be read makes verifySignature fail.
func importPublicKey(l *lua.LState) int {
	s, der := self[*side](l), cut(l, 2)
	key, _ := x509.ParsePKIXPublicKey([]byte(der))
	return push(l, s.v.wrap(l, publicKeyType, key))
}

// verifySignature implements handle:verifySignature(hash, key, signature,
// length, data, length) → ok, error text. An RSA or ECDSA check takes some
// ten microseconds.
func verifySignature(l *lua.LState) int {
	self[*side](l)
	name, key, signature, data := l.CheckString(2), l.CheckUserData(3).Value, cut(l, 4), cut(l, 6)
	hash, ok := hashes[strings.ToLower(name)]
	if !ok {
		return verified(l, false, name+" is not supported.")
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
		return verified(l, false, "Failed to initialize digest verify.")
	}
	if !ok {
		return verified(l, false, "Failed to verify digest. Error code: 0")
	}
	return verified(l, true, "")
}

func verified(l *lua.LState, ok bool, why string) int {
	l.Push(lua.LBool(ok))
	l.Push(lua.LString(why))
	return 2
}

// cut is the string argument n, as long as argument n+1 says.
func cut(l *lua.LState, n int) string {
	s, size := l.CheckString(n), l.CheckInt(n+1)
	if size < 0 || size > len(s) {
		l.ArgError(n+1, "the length is off")
	}
	return s[:size]
}

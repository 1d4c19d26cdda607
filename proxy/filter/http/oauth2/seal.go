package oauth2

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// gcmMark begins what is encrypted with AES-GCM; what has no mark is AES-CBC,
// whose padding an attacker can probe (CVE-2026-47775).
const gcmMark = "gcm."

// The runtime keys by which one moves from CBC to GCM: first all proxies
// write it, then none reads the old kind.
const (
	writeGCM = "envoy.reloadable_features.oauth2_use_gcm_encryption"
	readCBC  = "envoy.reloadable_features.oauth2_legacy_cbc_decrypt_compat"
)

// key is the AES-256 key that a secret stands for.
func key(secret string) []byte {
	k := sha256.Sum256([]byte(secret))
	return k[:]
}

// seal encrypts text, as base64url of IV or nonce and ciphertext.
func seal(text, secret string, gcm bool) string {
	block, err := aes.NewCipher(key(secret))
	if err != nil {
		panic(err) // the key's length is right
	}
	if gcm {
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err) // it is AES
		}
		return gcmMark + base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, []byte(text), nil))
	}
	padding := aes.BlockSize - len(text)%aes.BlockSize
	out := make([]byte, aes.BlockSize, aes.BlockSize+len(text)+padding)
	rand.Read(out)
	out = append(out, text...)
	out = append(out, bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], out[aes.BlockSize:])
	return base64.RawURLEncoding.EncodeToString(out)
}

var (
	//lint:ignore ST1005 Envoy's words
	errData   = errors.New("Invalid encrypted data")
	errFinal  = errors.New("failed to finalize decryption")
	errUnsafe = errors.New("ciphertext has no algorithm marker and legacy CBC decryption is disabled")
)

// open undoes seal. cbc tells whether text of the old kind may be read, and
// legacy that this one was.
func open(sealed, secret string, cbc bool) (text string, legacy bool, err error) {
	block, err := aes.NewCipher(key(secret))
	if err != nil {
		panic(err) // the key's length is right
	}
	if rest, marked := strings.CutPrefix(sealed, gcmMark); marked {
		raw, err := base64.RawURLEncoding.DecodeString(rest)
		if err != nil {
			return "", false, errData
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err) // it is AES
		}
		b, err := aead.Open(nil, nil, raw, nil)
		if err != nil {
			return "", false, errFinal
		}
		return string(b), false, nil
	}
	if !cbc {
		return "", false, errUnsafe
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(sealed, "="))
	if err != nil || len(raw) <= aes.BlockSize {
		return "", false, errData
	}
	iv, b := raw[:aes.BlockSize], raw[aes.BlockSize:]
	if len(b)%aes.BlockSize != 0 {
		return "", false, errFinal
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(b, b)
	padding := int(b[len(b)-1])
	if padding == 0 || padding > aes.BlockSize || !bytes.Equal(b[len(b)-padding:], bytes.Repeat([]byte{byte(padding)}, padding)) {
		return "", false, errFinal
	}
	return string(b[:len(b)-padding]), true, nil
}

// mac is the HMAC-SHA256 of a message, raw.
func mac(secret, message string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(message))
	return h.Sum(nil)
}

// mac64 is the HMAC as cookies have it.
func mac64(secret, message string) string {
	return base64.StdEncoding.EncodeToString(mac(secret, message))
}

// sameMAC compares got with the HMAC of a message, also in the encoding that
// Envoy once had.
func sameMAC(got, secret, message string) bool {
	m := mac(secret, message)
	return same(got, base64.StdEncoding.EncodeToString(m)) || same(got, base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(m))))
}

// same compares in time that does not depend on where they differ.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// nonce is a random string that identifies one login.
func nonce() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// csrfToken is a nonce with its HMAC, so that only this proxy can have made it.
func csrfToken(secret, nonce string) string { return nonce + "." + mac64(secret, nonce) }

// ownToken tells whether a CSRF token was made with the secret.
func ownToken(secret, token string) bool {
	nonce, sum, ok := strings.Cut(token, ".")
	return ok && same(mac64(secret, nonce), sum)
}

// codeVerifier is a PKCE code verifier (RFC 7636 section 4.1).
func codeVerifier() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// codeChallenge is what of a verifier the authorization server sees first
// (S256, RFC 7636 section 4.2).
func codeChallenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

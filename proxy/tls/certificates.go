package tls

import (
	"crypto/tls"
	"slices"
	"strings"
	"time"
)

// staplePolicy is DownstreamTlsContext.ocsp_staple_policy.
type staplePolicy uint8

const (
	lenientStapling staplePolicy = iota
	strictStapling
	mustStaple
)

// certificates are a server's, found by the name that the client asks for. It
// is immutable.
type certificates struct {
	all      []*Certificate
	byName   map[string][]*Certificate // one for each type of key
	fullScan bool                      // full_scan_certs_on_sni_mismatch
	policy   staplePolicy
	tls13    bool // the context speaks TLS 1.3
}

func newCertificates(all []*Certificate, fullScan bool, policy staplePolicy) *certificates {
	cs := &certificates{all: all, byName: map[string][]*Certificate{}, fullScan: fullScan, policy: policy}
	for _, c := range all {
		for _, n := range c.names() {
			same := func(o *Certificate) bool { return o.keyType() == c.keyType() }
			if !slices.ContainsFunc(cs.byName[n], same) {
				cs.byName[n] = append(cs.byName[n], c)
			}
		}
	}
	return cs
}

// onHello chooses the socket's certificate, before crypto/tls looks for a
// version and a key exchange in common. It fails when none may be used.
func (cs *certificates) onHello(s *socket, h *tls.ClientHelloInfo) error {
	c, staple := cs.choose(h)
	n := s.end.stats()
	switch staple {
	case stapleSent:
		n.OCSPStapleResponses.Inc()
	case stapleOmitted:
		n.OCSPStapleOmitted.Inc()
	case stapleFailed:
		n.OCSPStapleFailed.Inc()
	}
	if staple != stapleNotAsked {
		n.OCSPStapleRequests.Inc()
	}
	s.chosen = c.forHandshake(s)
	if staple == stapleFailed {
		return errRejected
	}
	if staple == stapleOmitted && len(c.OCSPStaple) > 0 {
		bare := *s.chosen
		bare.OCSPStaple = nil
		s.chosen = &bare
	}
	return nil
}

type stapling uint8

const (
	stapleNotAsked stapling = iota
	stapleSent
	stapleOmitted
	stapleFailed
)

const (
	extensionStatusRequest     = 5  // RFC 6066 section 8
	extensionSupportedVersions = 43 // RFC 8446 section 4.2.1
)

func (cs *certificates) stapling(c *Certificate, asked bool) stapling {
	policy := cs.policy
	if c.mustStaple {
		policy = mustStaple
	}
	has := len(c.OCSPStaple) > 0
	switch {
	case !asked:
		return stapleNotAsked
	case has && time.Now().Before(c.stapleEnd): // one without an end counts as expired
		return stapleSent
	case policy == mustStaple || policy == strictStapling && has:
		return stapleFailed
	}
	return stapleOmitted
}

// choose picks a certificate as Envoy does: of those for the very name, else
// for the wildcard above it, else of all (or the first, unless fullScan), the
// first whose key the client prefers; an ECDSA key before an RSA one. RSA will
// do where the client knows ECDSA, but not the other way round.
func (cs *certificates) choose(h *tls.ClientHelloInfo) (*Certificate, stapling) {
	asked := slices.Contains(h.Extensions, extensionStatusRequest)
	client := capabilitiesOf(h, cs.tls13)
	pick := func(from []*Certificate) (*Certificate, stapling) {
		var second *Certificate
		for _, c := range from {
			if cs.stapling(c, asked) == stapleFailed {
				continue
			}
			if client.prefers(c) {
				return c, cs.stapling(c, asked)
			}
			if second == nil && c.keyType() == rsaKey {
				second = c
			}
		}
		if second == nil {
			return nil, stapleFailed
		}
		return second, cs.stapling(second, asked)
	}
	if name := h.ServerName; name != "" {
		if c, st := pick(cs.byName[name]); c != nil {
			return c, st
		}
		if dot := strings.IndexByte(name, '.'); dot > 0 && dot < len(name)-1 {
			if c, st := pick(cs.byName[name[dot:]]); c != nil {
				return c, st
			}
		}
		if !cs.fullScan {
			return cs.all[0], cs.stapling(cs.all[0], asked)
		}
	}
	if c, st := pick(cs.all); c != nil {
		return c, st
	}
	return cs.all[0], cs.stapling(cs.all[0], asked)
}

// capabilities are the types of keys that a client can check signatures of.
type capabilities struct{ ecdsa [ed25519Key + 1]bool }

// capabilitiesOf goes by signature algorithms where the server speaks TLS 1.3
// and the client knows of it, even if it does not speak it itself: as in Envoy,
// one with cipher suites for RSA alone is then given an ECDSA certificate.
func capabilitiesOf(h *tls.ClientHelloInfo, server13 bool) (c capabilities) {
	has := func(s tls.SignatureScheme) bool { return slices.Contains(h.SignatureSchemes, s) }
	if server13 && slices.Contains(h.Extensions, extensionSupportedVersions) {
		c.ecdsa[p256Key] = has(tls.ECDSAWithP256AndSHA256)
		c.ecdsa[p384Key] = has(tls.ECDSAWithP384AndSHA384)
		c.ecdsa[p521Key] = has(tls.ECDSAWithP521AndSHA512)
		c.ecdsa[ed25519Key] = has(tls.Ed25519)
		return c
	}
	if !slices.ContainsFunc(h.CipherSuites, isECDSA) {
		return c
	}
	for k, id := range map[keyType]tls.CurveID{p256Key: tls.CurveP256, p384Key: tls.CurveP384, p521Key: tls.CurveP521} {
		c.ecdsa[k] = slices.Contains(h.SupportedCurves, id)
	}
	return c
}

func isECDSA(suite uint16) bool {
	switch suite {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:
		return true
	}
	return false
}

// prefers tells whether c is what the client would rather have than anything
// else: a key of the best kind that it knows.
func (c capabilities) prefers(cert *Certificate) bool {
	k := cert.keyType()
	if k != rsaKey {
		return c.ecdsa[k]
	}
	return !slices.Contains(c.ecdsa[:], true)
}

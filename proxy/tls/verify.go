package tls

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// verdict is what is known of the peer's certificate.
type verdict uint8

const (
	unchecked verdict = iota // nothing asked for a check
	validated
	untrusted // the check failed, and that is allowed (ACCEPT_UNTRUSTED)
	misnamed  // likewise, because of its names
	unpinned  // likewise, because of its fingerprints
)

// verifyError is a certificate that is refused.
type verifyError struct {
	detail string // Envoy's words
	kind   failure
}

func (e *verifyError) Error() string { return e.detail }

// failure tells which statistic counts a refusal.
type failure uint8

const (
	failChain failure = iota
	failSAN
	failHash
)

// Validation is a compiled CertificateValidationContext: how a peer's
// certificate is checked. It is immutable.
type Validation struct {
	roots      *x509.CertPool
	anchors    []*x509.Certificate // what is in roots
	crls       []*x509.RevocationList
	leafCRL    bool // only the leaf is looked up in the CRLs
	sans       []sanMatcher
	hashes     [][sha256.Size]byte // of the certificate
	spki       [][sha256.Size]byte // of its public key
	expired    bool                // expired certificates are fine
	untrusted  bool                // ACCEPT_UNTRUSTED
	maxDepth   int
	hideCAs    bool // suppress_client_ca_list
	spiffe     *spiffe
	sourcePath string // of trusted_ca, for /certs
	name       string // of the secret, "" for none
}

// asks tells whether v checks anything, or lets untrusted ones through, so that
// a client is asked for its certificate.
func (v *Validation) asks() bool {
	return v != nil && (v.untrusted || v.roots != nil || v.spiffe != nil || len(v.hashes) > 0 || len(v.spki) > 0)
}

// requires tells whether a client must have a certificate, whatever
// require_client_certificate says: one that is matched by name or fingerprint.
func (v *Validation) requires() bool {
	return v != nil && (v.spiffe != nil || len(v.sans)+len(v.hashes)+len(v.spki) > 0 && !v.untrusted)
}

// verdict is what check found of a chain that was not refused. Only where
// untrusted ones are let through does that need another look.
func (v *Validation) verdict(chain []*x509.Certificate, names []string, usage x509.ExtKeyUsage) verdict {
	switch {
	case len(chain) == 0 || !v.asks():
		return unchecked
	case v.untrusted:
		found, _ := v.check(chain, names, usage)
		return found
	}
	return validated
}

// withoutMatchers is v without its own matchers of names.
func (v *Validation) withoutMatchers() *Validation {
	c := *v
	c.sans = nil
	return &c
}

// clientCAs are the authorities that clients are told of.
func (v *Validation) clientCAs() *x509.CertPool {
	if v.spiffe == nil {
		return v.roots
	}
	pool := x509.NewCertPool()
	for _, b := range v.spiffe.domains {
		for _, c := range b.anchors {
			pool.AddCert(c)
		}
	}
	return pool
}

// check checks a peer's chain, leaf first. names, when there are any, are
// what one of the leaf's alternative names must be, besides the configured
// matchers. usage is what the certificate is to be good for.
func (v *Validation) check(chain []*x509.Certificate, names []string, usage x509.ExtKeyUsage) (verdict, error) {
	if v.spiffe != nil {
		return v.spiffe.check(v, chain, usage)
	}
	if v.roots != nil {
		if err := v.chain(v.roots, v.anchors, chain, usage); err != nil {
			if v.untrusted {
				return untrusted, nil
			}
			return untrusted, &verifyError{"verify cert failed: " + err.Error(), failChain}
		}
	}
	if err := v.leaf(chain[0], names); err != nil {
		switch {
		case !v.untrusted:
			return untrusted, err
		case err.kind == failSAN:
			return misnamed, nil
		}
		return unpinned, nil
	}
	if v.roots == nil && len(v.hashes) == 0 && len(v.spki) == 0 {
		return unchecked, nil
	}
	return validated, nil
}

// leaf checks the certificate itself: its names and its fingerprints.
func (v *Validation) leaf(c *x509.Certificate, names []string) *verifyError {
	if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return hasName(c, n) }) {
		return &verifyError{fmt.Sprintf("verify cert failed: verify SAN list, expected SANs: [%s], certificate SANs: [%s]", strings.Join(names, ", "), allNames(c)), failSAN}
	}
	if len(v.sans) > 0 && !v.matchSAN(c) {
		return &verifyError{"verify cert failed: SAN matcher, certificate SANs are [" + allNames(c) + "]", failSAN}
	}
	if len(v.hashes)+len(v.spki) == 0 {
		return nil
	}
	if !slices.Contains(v.hashes, sha256.Sum256(c.Raw)) && !slices.Contains(v.spki, sha256.Sum256(c.RawSubjectPublicKeyInfo)) {
		return &verifyError{"verify cert failed: cert hash and spki", failHash}
	}
	return nil
}

func (v *Validation) matchSAN(c *x509.Certificate) bool {
	return slices.ContainsFunc(v.sans, func(m sanMatcher) bool { return m.match(c) })
}

// chain builds a chain from the leaf to one of roots. Any of those is an
// anchor, whether it signed itself or not, as in Envoy.
func (v *Validation) chain(roots *x509.CertPool, anchors, chain []*x509.Certificate, usage x509.ExtKeyUsage) error {
	chains, err := verify(roots, chain, usage)
	if isExpired(err) { // unless there is no chain at all, which BoringSSL finds first
		longer, other := verify(pool(prolonged(anchors)), prolonged(chain), usage)
		var unknown x509.UnknownAuthorityError
		if v.expired || errors.As(other, &unknown) {
			chains, err = longer, other
		}
	}
	if err != nil {
		return errors.New("X509_verify_cert: certificate verification error at depth " + reasonOf(err, chain))
	}
	if !fits(chain[0], usage) {
		return errors.New("X509_verify_cert: certificate verification error at depth 0: unsupported certificate purpose")
	}
	for _, c := range chains {
		if err = v.acceptable(c); err == nil {
			return nil
		}
	}
	return err
}

func verify(roots *x509.CertPool, chain []*x509.Certificate, usage x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	return chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool(chain[1:]), KeyUsages: []x509.ExtKeyUsage{usage}})
}

func pool(cs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range cs {
		p.AddCert(c)
	}
	return p
}

// prolonged are copies of cs that have not expired.
func prolonged(cs []*x509.Certificate) []*x509.Certificate {
	now := time.Now()
	out := slices.Clone(cs)
	for i, c := range cs {
		if now.After(c.NotAfter) {
			longer := *c
			longer.NotAfter = now.Add(time.Hour)
			out[i] = &longer
		}
	}
	return out
}

// acceptable checks what x509 does not: length and revocation.
func (v *Validation) acceptable(chain []*x509.Certificate) error {
	// As in Envoy, what an authority signed itself is never too deep.
	if v.maxDepth >= 0 && len(chain)-1 > max(v.maxDepth, 1) {
		return fmt.Errorf("X509_verify_cert: certificate verification error at depth %d: unable to get local issuer certificate", max(v.maxDepth, 1))
	}
	if len(v.crls) == 0 {
		return nil
	}
	last := len(chain) - 1
	if v.leafCRL {
		last = 0
	}
	for i, c := range chain[:last+1] {
		issuer := c
		if i+1 < len(chain) {
			issuer = chain[i+1]
		}
		if err := v.notRevoked(c, issuer, time.Now()); err != nil {
			return fmt.Errorf("X509_verify_cert: certificate verification error at depth %d: certificate revocation check against provided CRLs failed: %w", i, err)
		}
	}
	return nil
}

// notRevoked looks for c in its issuer's revocation list, which must be there.
func (v *Validation) notRevoked(c, issuer *x509.Certificate, now time.Time) error {
	found := false
	for _, l := range v.crls {
		if string(l.RawIssuer) != string(c.RawIssuer) || l.CheckSignatureFrom(issuer) != nil {
			continue
		}
		if !l.NextUpdate.IsZero() && now.After(l.NextUpdate) {
			return errors.New("CRL has expired")
		}
		found = true
		for _, e := range l.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
				return errors.New("certificate revoked")
			}
		}
	}
	if !found {
		return errors.New("unable to get certificate CRL")
	}
	return nil
}

func isExpired(err error) bool {
	var e x509.CertificateInvalidError
	return errors.As(err, &e) && e.Reason == x509.Expired
}

// reasonOf is the depth and OpenSSL's words for why a chain is not good.
func reasonOf(err error, chain []*x509.Certificate) string {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		depth := max(0, slices.Index(chain, invalid.Cert))
		switch invalid.Reason {
		case x509.Expired:
			if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
				return fmt.Sprintf("%d: certificate is not yet valid", depth)
			}
			return fmt.Sprintf("%d: certificate has expired", depth)
		case x509.IncompatibleUsage:
			return fmt.Sprintf("%d: unsupported certificate purpose", depth)
		case x509.NotAuthorizedToSign:
			return fmt.Sprintf("%d: invalid CA certificate", depth)
		case x509.TooManyIntermediates:
			return fmt.Sprintf("%d: path length constraint exceeded", depth)
		}
		return fmt.Sprintf("%d: %v", depth, err)
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		last := chain[len(chain)-1]
		switch {
		case string(last.RawIssuer) != string(last.RawSubject):
			return fmt.Sprintf("%d: unable to get local issuer certificate", len(chain)-1)
		case len(chain) == 1:
			return "0: self signed certificate"
		}
		return fmt.Sprintf("%d: self signed certificate in certificate chain", len(chain)-1)
	}
	return "0: " + err.Error()
}

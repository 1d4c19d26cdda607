package tls

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// spiffe checks X.509-SVIDs: each trust domain has its own anchors
// (envoy.tls.cert_validator.spiffe).
type spiffe struct {
	domains map[string]*bundle
}

type bundle struct {
	roots   *x509.CertPool
	anchors []*x509.Certificate
	path    string
}

// check checks a chain whose leaf says its trust domain by its URI.
func (s *spiffe) check(v *Validation, chain []*x509.Certificate, usage x509.ExtKeyUsage) (verdict, error) {
	leaf := chain[0]
	b := s.bundleOf(leaf)
	switch {
	case !isSVID(leaf):
		return untrusted, &verifyError{"verify cert failed: leaf certificate is not a SPIFFE SVID", failChain}
	case b == nil:
		return untrusted, &verifyError{"verify cert failed: no trust bundle store", failChain}
	}
	if err := v.chain(b.roots, b.anchors, chain, usage); err != nil {
		return untrusted, &verifyError{"verify cert failed: " + err.Error(), failChain}
	}
	if len(v.sans) > 0 && !v.matchSAN(leaf) {
		return untrusted, &verifyError{"verify cert failed: SAN match", failSAN}
	}
	return validated, nil
}

// isSVID tells whether c may be a leaf: no CA, and not for signing others
// (the X.509-SVID specification, section 5.2).
func isSVID(c *x509.Certificate) bool {
	return !c.IsCA && c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) == 0
}

// bundleOf is the bundle of the certificate's trust domain.
func (s *spiffe) bundleOf(c *x509.Certificate) *bundle {
	for _, uri := range uriSANs(c) {
		if rest, ok := strings.CutPrefix(uri, "spiffe://"); ok {
			domain, _, _ := strings.Cut(rest, "/")
			return s.domains[domain]
		}
	}
	return nil
}

// parseBundles reads a map of trust bundles: by trust domain, JWK sets whose
// x509-svid keys hold a certificate each (the SPIFFE trust domain and bundle
// specification, section 4).
func parseBundles(data []byte) (map[string][]*x509.Certificate, error) {
	var m struct {
		TrustDomains map[string]struct {
			Keys []struct {
				Use string   `json:"use"`
				X5C [][]byte `json:"x5c"`
			} `json:"keys"`
		} `json:"trust_domains"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("invalid SPIFFE trust bundle map: %w", err)
	}
	if len(m.TrustDomains) == 0 {
		return nil, errors.New("no trust domains in the SPIFFE trust bundle map")
	}
	out := map[string][]*x509.Certificate{}
	for domain, b := range m.TrustDomains {
		for _, k := range b.Keys {
			if k.Use != "x509-svid" {
				continue
			}
			for _, der := range k.X5C {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					return nil, fmt.Errorf("trust domain %s: %w", domain, err)
				}
				out[domain] = append(out[domain], c)
			}
		}
		if len(out[domain]) == 0 {
			return nil, fmt.Errorf("no x509-svid keys for trust domain %s", domain)
		}
	}
	return out, nil
}

package tls

//lint:file-ignore SA1019 control planes still send match_subject_alt_names, and Envoy takes it

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/xds/protos"
)

// defaultVerifyDepth is Envoy's max_verify_depth.
const defaultVerifyDepth = 100

// compileValidation compiles how peers' certificates are checked.
func compileValidation(p field.Path, c *tlsv3.CertificateValidationContext) (v *Validation, err error) {
	if err := field.Only(p, c, "trusted_ca", "watched_directory", "verify_certificate_spki", "verify_certificate_hash", "match_typed_subject_alt_names",
		"match_subject_alt_names", "crl", "allow_expired_certificate", "trust_chain_verification", "custom_validator_config", "only_verify_leaf_cert_crl",
		"max_verify_depth", "suppress_client_ca_list"); err != nil {
		return nil, err
	}
	v = &Validation{
		leafCRL: c.GetOnlyVerifyLeafCertCrl(), expired: c.GetAllowExpiredCertificate(), hideCAs: c.GetSuppressClientCaList(), maxDepth: defaultVerifyDepth,
		untrusted: c.GetTrustChainVerification() == tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED,
	}
	if d := c.GetMaxVerifyDepth(); d != nil {
		v.maxDepth = int(d.GetValue())
	}
	for _, step := range []func(field.Path, *tlsv3.CertificateValidationContext) error{v.addNames, v.addHashes, v.addTrust, v.addSPIFFE} {
		if err := step(p, c); err != nil {
			return nil, err
		}
	}
	if len(v.sans) > 0 && v.roots == nil && v.spiffe == nil {
		return nil, p.Errorf("SAN-based verification of peer certificates without trusted CA is insecure and not allowed")
	}
	return v, nil
}

// addTrust reads the trusted authorities and the revocation lists.
func (v *Validation) addTrust(p field.Path, c *tlsv3.CertificateValidationContext) error {
	if c.GetTrustedCa() != nil {
		data, from, err := readSource(p.Dot("trusted_ca"), c.GetTrustedCa())
		if err != nil {
			return err
		}
		if v.anchors, v.crls, err = parseTrust(data); err == nil && len(v.anchors) == 0 {
			err = fmt.Errorf("failed to load trusted CA certificates from %s", from)
		}
		if err != nil {
			return p.Dot("trusted_ca").Wrap(err)
		}
		v.sourcePath = from
		v.roots = pool(v.anchors)
	}
	if c.GetCrl() == nil {
		return nil
	}
	data, from, err := readSource(p.Dot("crl"), c.GetCrl())
	if err != nil {
		return err
	}
	_, crls, err := parseTrust(data)
	switch {
	case err != nil:
		return p.Dot("crl").Wrap(err)
	case len(crls) == 0:
		return p.Dot("crl").Errorf("failed to load CRL from %s", from)
	case v.roots == nil:
		return p.Dot("crl").Errorf("failed to load CRL from %s without trusted CA", from)
	}
	v.crls = append(v.crls, crls...)
	return nil
}

// parseTrust reads the certificates and revocation lists in PEM data.
func parseTrust(data []byte) (certs []*x509.Certificate, crls []*x509.RevocationList, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			certs = append(certs, c)
		case "X509 CRL":
			l, err := x509.ParseRevocationList(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			crls = append(crls, l)
		}
	}
	return certs, crls, nil
}

// addHashes reads the fingerprints that are accepted.
func (v *Validation) addHashes(p field.Path, c *tlsv3.CertificateValidationContext) error {
	for i, h := range c.GetVerifyCertificateHash() {
		b, err := hex.DecodeString(strings.ReplaceAll(h, ":", ""))
		if err != nil || len(b) != sha256.Size {
			return p.Dot("verify_certificate_hash").Index(i).Errorf("invalid hex-encoded SHA-256 %s", h)
		}
		v.hashes = append(v.hashes, [sha256.Size]byte(b))
	}
	for i, h := range c.GetVerifyCertificateSpki() {
		b, err := base64.StdEncoding.DecodeString(h)
		if err != nil || len(b) != sha256.Size {
			return p.Dot("verify_certificate_spki").Index(i).Errorf("invalid base64-encoded SHA-256 %s", h)
		}
		v.spki = append(v.spki, [sha256.Size]byte(b))
	}
	return nil
}

var sanKinds = map[tlsv3.SubjectAltNameMatcher_SanType]sanKind{
	tlsv3.SubjectAltNameMatcher_EMAIL: sanEmail, tlsv3.SubjectAltNameMatcher_DNS: sanDNS, tlsv3.SubjectAltNameMatcher_URI: sanURI,
	tlsv3.SubjectAltNameMatcher_IP_ADDRESS: sanIP, tlsv3.SubjectAltNameMatcher_OTHER_NAME: sanOther,
}

// addNames compiles the matchers of alternative names.
func (v *Validation) addNames(p field.Path, c *tlsv3.CertificateValidationContext) error {
	rx := matcher.NewRegexes()
	for i, m := range c.GetMatchTypedSubjectAltNames() {
		p := p.Dot("match_typed_subject_alt_names").Index(i)
		kind, ok := sanKinds[m.GetSanType()]
		if !ok {
			return p.Dot("san_type").Errorf("not set")
		}
		s, err := newSANMatcher(p.Dot("matcher"), kind, m.GetMatcher(), rx)
		if err != nil {
			return err
		}
		if kind == sanOther {
			if s.oid, err = parseOID(m.GetOid()); err != nil {
				return p.Dot("oid").Wrap(err)
			}
		}
		v.sans = append(v.sans, s)
	}
	if len(v.sans) > 0 {
		return nil
	}
	for i, m := range c.GetMatchSubjectAltNames() {
		for _, kind := range []sanKind{sanDNS, sanURI, sanEmail, sanIP} {
			s, err := newSANMatcher(p.Dot("match_subject_alt_names").Index(i), kind, m, rx)
			if err != nil {
				return err
			}
			v.sans = append(v.sans, s)
		}
	}
	return nil
}

func newSANMatcher(p field.Path, kind sanKind, m *matcherv3.StringMatcher, rx *matcher.Regexes) (s sanMatcher, err error) {
	s.kind = kind
	s.value, err = matcher.NewString(p, m, rx)
	if kind == sanDNS {
		s.exact = m.GetExact()
	}
	return s, err
}

func parseOID(s string) (out []int, err error) {
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not an object identifier", s)
		}
		out = append(out, n)
	}
	return out, nil
}

const spiffeType = "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"

// addSPIFFE compiles the SPIFFE validator, which is the one there is.
func (v *Validation) addSPIFFE(p field.Path, c *tlsv3.CertificateValidationContext) error {
	x := c.GetCustomValidatorConfig()
	if x == nil {
		return nil
	}
	p = p.Dot("custom_validator_config").Dot("typed_config")
	if name := protos.TypeName(x.GetTypedConfig()); name != spiffeType {
		return p.Errorf("weir has no certificate validator %q of type %s", x.GetName(), name)
	}
	s := &tlsv3.SPIFFECertValidatorConfig{}
	if err := protos.UnpackUnchecked(p, x.GetTypedConfig(), s); err != nil {
		return err
	}
	if s.GetTrustBundles() == nil { // with them Envoy asks for no trust_domains
		if err := protos.Validate(p, s); err != nil {
			return err
		}
	}
	if err := field.Only(p, s, "trust_domains", "trust_bundles"); err != nil {
		return err
	}
	v.spiffe = &spiffe{domains: map[string]*bundle{}}
	if s.GetTrustBundles() != nil {
		return v.spiffe.addBundles(p.Dot("trust_bundles"), s.GetTrustBundles())
	}
	for i, d := range s.GetTrustDomains() {
		p := p.Dot("trust_domains").Index(i)
		if err := field.Only(p, d, "name", "trust_bundle"); err != nil {
			return err
		}
		if v.spiffe.domains[d.GetName()] != nil {
			return p.Dot("name").Errorf("multiple trust bundles are given for one trust domain for %s", d.GetName())
		}
		if err := v.spiffe.addDomain(p.Dot("trust_bundle"), d.GetName(), d.GetTrustBundle()); err != nil {
			return err
		}
	}
	return nil
}

func (s *spiffe) addDomain(p field.Path, name string, d *corev3.DataSource) error {
	data, from, err := readSource(p, d)
	if err != nil {
		return err
	}
	anchors, _, err := parseTrust(data)
	if err == nil && len(anchors) == 0 {
		err = fmt.Errorf("failed to load trusted CA certificate from %s", from)
	}
	s.domains[name] = &bundle{roots: pool(anchors), anchors: anchors, path: from}
	return p.Wrap(err)
}

// addBundles reads a SPIFFE trust bundle map.
func (s *spiffe) addBundles(p field.Path, d *corev3.DataSource) error {
	data, from, err := readSource(p, d)
	if err != nil {
		return err
	}
	bundles, err := parseBundles(data)
	if err != nil {
		return p.Wrap(err)
	}
	for name, anchors := range bundles {
		s.domains[name] = &bundle{roots: pool(anchors), anchors: anchors, path: from}
	}
	return nil
}

package manager

import (
	"crypto/x509"
	"strings"

	"github.com/weirproxy/weir/internal/x509name"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
)

// xfccMode is forward_client_cert_details: what becomes of the header
// x-forwarded-client-cert.
type xfccMode uint8

const (
	xfccSanitize xfccMode = iota
	xfccForwardOnly
	xfccAppendForward
	xfccSanitizeSet
	xfccAlwaysForwardOnly
)

// xfccDetails are the parts of set_current_client_cert_details.
type xfccDetails struct{ cert, chain, subject, uri, dns, issuer bool }

// xfccPolicy is what becomes of the header, and what is in it.
type xfccPolicy struct {
	mode    xfccMode
	details xfccDetails
}

// xfcc is the policy for the request: the matcher's, else the manager's.
func (s *stream) xfcc() *xfccPolicy {
	if t := s.cfg.xfccTree; t != nil {
		d := tree.Data{RequestHeaders: &s.request}
		d.SetStream(&s.info)
		if p, r := t.Match(&d); r == tree.Matched {
			return p
		}
	}
	return s.cfg.xfcc
}

// forwardClientCert removes or sets x-forwarded-client-cert.
func (s *stream) forwardClientCert() {
	h, policy := &s.request, s.xfcc()
	mode := policy.mode
	if mode == xfccAlwaysForwardOnly {
		return
	}
	var session network.TLSInfo
	if i := s.m.conn.Info; i != nil {
		session = i.TLS
	}
	if mode == xfccSanitize || session == nil || !session.PeerCertificatePresented() {
		h.Remove(http.XForwardedClientCert)
		return
	}
	if mode == xfccForwardOnly {
		return
	}
	if s.m.xfcc == "" || s.m.xfccOf != policy {
		s.m.xfcc, s.m.xfccOf = policy.details.describe(session), policy
	}
	if mode == xfccSanitizeSet {
		h.Set(http.XForwardedClientCert, s.m.xfcc)
		return
	}
	h.Append(http.XForwardedClientCert, ",", s.m.xfcc)
}

// describe is the header's element for a connection's client.
func (d *xfccDetails) describe(session network.TLSInfo) string {
	var out []string
	for _, uri := range session.URISANsLocal() {
		out = append(out, "By="+uri)
	}
	out = append(out, "Hash="+session.SHA256Peer())
	var chain []*x509.Certificate
	if t, ok := session.(formatter.TLSSession); ok {
		chain = t.PeerCertificates()
	}
	if d.cert && len(chain) > 0 {
		out = append(out, `Cert="`+formatter.URLEncodedPEM(chain[0])+`"`)
	}
	if d.chain && len(chain) > 0 {
		var all strings.Builder
		for _, c := range chain {
			all.WriteString(formatter.URLEncodedPEM(c))
		}
		out = append(out, `Chain="`+all.String()+`"`)
	}
	if d.subject {
		out = append(out, `Subject="`+session.SubjectPeer()+`"`)
	}
	if d.uri {
		uris := session.URISANsPeer()
		for _, uri := range uris {
			out = append(out, "URI="+uri)
		}
		if len(uris) == 0 {
			out = append(out, "URI=")
		}
	}
	if d.dns {
		for _, name := range session.DNSSANsPeer() {
			out = append(out, "DNS="+name)
		}
	}
	if d.issuer && len(chain) > 0 {
		out = append(out, `Issuer="`+x509name.String(chain[0].RawIssuer)+`"`)
	}
	return strings.Join(out, ";")
}

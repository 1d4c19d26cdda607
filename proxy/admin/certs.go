package admin

import (
	"crypto/x509"
	"net/http"
	"strconv"
	"time"
)

// Certificate is a TLS context's certificates, as /certs shows them.
type Certificate struct {
	CACert    []CertificateDetails `json:"ca_cert"`
	CertChain []CertificateDetails `json:"cert_chain"`
}

// CertificateDetails is what the page says about one certificate;
// [NewCertificateDetails] makes it.
type CertificateDetails struct {
	Path                string           `json:"path"` // of the file, or "<inline>"
	SerialNumber        string           `json:"serial_number"`
	SubjectAltNames     []SubjectAltName `json:"subject_alt_names"`
	DaysUntilExpiration string           `json:"days_until_expiration"`
	ValidFrom           string           `json:"valid_from"`
	ExpirationTime      string           `json:"expiration_time"`
}

// SubjectAltName has one of its fields.
type SubjectAltName struct {
	DNS       string `json:"dns,omitempty"`
	URI       string `json:"uri,omitempty"`
	IPAddress string `json:"ip_address,omitempty"`
}

// NewCertificateDetails describes a certificate that came from path.
func NewCertificateDetails(path string, c *x509.Certificate, now time.Time) CertificateDetails {
	d := CertificateDetails{
		Path:                path,
		SerialNumber:        c.SerialNumber.Text(16),
		SubjectAltNames:     []SubjectAltName{},
		DaysUntilExpiration: strconv.FormatInt(max(0, int64(c.NotAfter.Sub(now)/(24*time.Hour))), 10),
		ValidFrom:           c.NotBefore.UTC().Format(time.RFC3339),
		ExpirationTime:      c.NotAfter.UTC().Format(time.RFC3339),
	}
	for _, name := range c.DNSNames {
		d.SubjectAltNames = append(d.SubjectAltNames, SubjectAltName{DNS: name})
	}
	for _, uri := range c.URIs {
		d.SubjectAltNames = append(d.SubjectAltNames, SubjectAltName{URI: uri.String()})
	}
	for _, ip := range c.IPAddresses {
		d.SubjectAltNames = append(d.SubjectAltNames, SubjectAltName{IPAddress: ip.String()})
	}
	return d
}

func (s *Server) certs(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Certs == nil {
		return errNotSupported
	}
	certs, err := s.sources.Certs(r.Context())
	if err != nil {
		return err
	}
	if certs == nil {
		certs = []Certificate{}
	}
	return writeJSON(w, struct {
		Certificates []Certificate `json:"certificates"`
	}{certs})
}

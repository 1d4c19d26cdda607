package tls

import (
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/secret"
)

// secrets are those of one context: what is there and what is missing yet.
type secrets struct {
	certs      []*Certificate
	validation *Validation
	tickets    [][32]byte
	missing    int
	complete   func() error // called whenever all are there
	update     func()       // counts an update by SDS
	built      bool
	refused    error // what is wrong with a certificate that the configuration itself holds
}

// watch follows one secret. set takes it in.
func (s *secrets) watch(p field.Path, c *tlsv3.SdsSecretConfig, k secret.Kind, from secret.Provider, scope secret.Scope, set func(field.Path, *tlsv3.Secret) error) error {
	there, late := false, false
	var ready func()
	s.missing++
	cancel, err := from.Watch(p, c, k, func(p field.Path, secret *tlsv3.Secret) error {
		if secret == nil {
			if late = true; ready != nil {
				ready()
			}
			return nil
		}
		if err := set(p, secret); err != nil {
			return err
		}
		if !there {
			there = true
			s.missing--
		}
		if s.built {
			s.update()
		}
		if s.built && s.missing == 0 {
			if err := s.finish(); err != nil {
				return err
			}
		}
		if ready != nil {
			ready()
		}
		return nil
	})
	if err != nil {
		return err
	}
	scope.OnClose(cancel)
	if !there && !late {
		ready = scope.WaitFor("secret " + c.GetName())
	}
	return nil
}

// build ends the configuration: the context is made now if all is there.
func (s *secrets) build() error {
	s.built = true
	if s.missing > 0 {
		return nil
	}
	return s.finish()
}

// finish makes the context. Only now is a bad certificate of the configuration
// an error, as in Envoy: while a secret is missing, nothing looks at it.
func (s *secrets) finish() error {
	if s.refused != nil {
		return s.refused
	}
	return s.complete()
}

// addCertificates compiles a context's certificates and follows those that
// are named.
func (s *secrets) addCertificates(p field.Path, c *tlsv3.CommonTlsContext, o Options) error {
	for i, x := range c.GetTlsCertificates() {
		cert, err := compileCertificate(p.Dot("tls_certificates").Index(i), x)
		if err != nil && s.refused == nil {
			s.refused = err
		}
		s.certs = append(s.certs, cert)
	}
	if len(s.certs) > 0 {
		return nil // the others are ignored then, as in Envoy
	}
	named := c.GetTlsCertificateSdsSecretConfigs()
	s.certs = make([]*Certificate, len(named))
	for i, x := range named {
		set := func(p field.Path, secret *tlsv3.Secret) (err error) {
			if secret.GetTlsCertificate() == nil {
				return p.Errorf("secret %q is not a tls_certificate", secret.GetName())
			}
			cert, err := compileCertificate(p.Dot("tls_certificate"), secret.GetTlsCertificate())
			if err == nil {
				cert.name = secret.GetName()
				s.certs[i] = cert
			}
			return err
		}
		if err := s.watch(p.Dot("tls_certificate_sds_secret_configs").Index(i), x, secret.Certificate, o.Secrets, o.Scope, set); err != nil {
			return err
		}
	}
	return nil
}

// addValidation compiles a context's validation context, or follows it.
func (s *secrets) addValidation(p field.Path, c *tlsv3.CommonTlsContext, o Options) (err error) {
	switch x := c.GetValidationContextType().(type) {
	case *tlsv3.CommonTlsContext_ValidationContext:
		s.validation, err = compileValidation(p.Dot("validation_context"), x.ValidationContext)
		return err
	case *tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig:
		return s.watchValidation(p.Dot("validation_context_sds_secret_config"), x.ValidationContextSdsSecretConfig, nil, o)
	case *tlsv3.CommonTlsContext_CombinedValidationContext:
		p := p.Dot("combined_validation_context")
		if err := field.Only(p, x.CombinedValidationContext, "default_validation_context", "validation_context_sds_secret_config"); err != nil {
			return err
		}
		return s.watchValidation(p.Dot("validation_context_sds_secret_config"), x.CombinedValidationContext.GetValidationContextSdsSecretConfig(),
			x.CombinedValidationContext.GetDefaultValidationContext(), o)
	}
	return nil
}

// watchValidation follows a validation context, which is merged into base.
func (s *secrets) watchValidation(p field.Path, c *tlsv3.SdsSecretConfig, base *tlsv3.CertificateValidationContext, o Options) error {
	return s.watch(p, c, secret.ValidationContext, o.Secrets, o.Scope, func(p field.Path, secret *tlsv3.Secret) error {
		config := secret.GetValidationContext()
		if config == nil {
			return p.Errorf("secret %q is not a validation_context", secret.GetName())
		}
		if base != nil {
			merged := proto.CloneOf(base)
			proto.Merge(merged, config)
			config = merged
		}
		v, err := compileValidation(p.Dot("validation_context"), config)
		if err == nil {
			v.name = secret.GetName()
			s.validation = v
		}
		return err
	})
}

// addTicketKeys follows session ticket keys.
func (s *secrets) addTicketKeys(p field.Path, c *tlsv3.SdsSecretConfig, o Options) error {
	return s.watch(p, c, secret.TicketKeys, o.Secrets, o.Scope, func(p field.Path, secret *tlsv3.Secret) (err error) {
		if secret.GetSessionTicketKeys() == nil {
			return p.Errorf("secret %q is not session_ticket_keys", secret.GetName())
		}
		s.tickets, err = compileTicketKeys(p.Dot("session_ticket_keys"), secret.GetSessionTicketKeys())
		return err
	})
}

package tls

import (
	"crypto/tls"
	"encoding/binary"
	"time"
)

// limitSessions makes tickets older than lifetime worthless, which crypto/tls
// has no setting for: their state carries when it was made.
func limitSessions(c *tls.Config, lifetime time.Duration) {
	c.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		s.Extra = append(s.Extra, binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix())))
		return c.EncryptTicket(cs, s)
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		s, err := c.DecryptTicket(ticket, cs)
		if s == nil || err != nil || len(s.Extra) != 1 || len(s.Extra[0]) != 8 {
			return nil, err
		}
		made := time.Unix(int64(binary.BigEndian.Uint64(s.Extra[0])), 0)
		if time.Since(made) > lifetime {
			return nil, nil
		}
		return s, nil
	}
}

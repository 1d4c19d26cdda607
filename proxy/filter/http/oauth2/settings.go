package oauth2

import (
	"time"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// Stats are at http.<stat_prefix>.[<the filter's>.]; those of a route have
// only its own prefix.
type Stats struct {
	Unauthorized      stats.Counter `stat:"oauth_unauthorized_rq"`
	Failure           stats.Counter `stat:"oauth_failure"`
	Passthrough       stats.Counter `stat:"oauth_passthrough"`
	Success           stats.Counter `stat:"oauth_success"`
	RefreshSuccess    stats.Counter `stat:"oauth_refreshtoken_success"`
	RefreshFailure    stats.Counter `stat:"oauth_refreshtoken_failure"`
	AllowFailed       stats.Counter `stat:"oauth_allow_failed_passthrough"`
	LegacyDecrypt     stats.Counter `stat:"oauth_legacy_cbc_decrypt"`
	CookieChunked     stats.Counter `stat:"oauth_token_cookie_chunked"`
	CookieMalformed   stats.Counter `stat:"oauth_token_cookie_malformed_chunks"`
	CookieOversized   stats.Counter `stat:"oauth_token_cookie_oversized"`
	CookieReassembled stats.Counter `stat:"oauth_token_cookie_reassembled"`
}

// settings are an OAuth2Config compiled.
type settings struct {
	token         endpoint
	authType      authType
	clientID      string
	clientSecret  *secret.Generic // nil when the certificate stands for it
	hmacSecret    *secret.Generic
	assertion     assertion
	authorization string            // without its query
	authParams    []http.QueryParam // those that never change
	resources     string
	endSession    string // "" when the authorization server keeps its session
	afterLogout   *formatter.Formatter
	noAfterLogout bool
	redirectURI   *formatter.Formatter
	originalURI   *formatter.Formatter // nil: scheme and host of the request
	domains       []string             // that users may be sent to; nil: all

	callback, signout                     matcher.String // paths
	passThrough, denyRedirect, mayFailing []matcher.Header
	forwardBearer, preserveAuthorization  bool
	forwardID                             string // header; "" none

	cookies      [cookieKinds]cookieSettings
	cookieDomain string
	noCookie     [cookieKinds]bool // tokens that are not kept
	plain        bool              // tokens are not encrypted
	chunks       *chunkSettings    // nil: cookies are not split

	useRefresh            bool
	expiry, refreshExpiry time.Duration // where the server names none
	nonceAge, verifierAge time.Duration
	idExpiresLikeAccess   bool
	runtime               fraction.Runtime
	group                 *stats.Group[Stats]
}

// endpoint is where tokens come from.
type endpoint struct {
	uri, cluster, host, path string
	timeout                  time.Duration
	retry                    *async.Retry
	forwardedFor             string // this machine
}

// authType is how the client shows who it is.
type authType uint8

const (
	urlEncodedBody authType = iota
	basicAuth
	tlsClientAuth
	privateKeyJWT
)

// ready tells whether the secrets are there.
func (s *settings) ready() bool {
	if s.hmacSecret.Value() == "" {
		return false
	}
	switch s.authType {
	case tlsClientAuth:
		return true
	case privateKeyJWT:
		return s.clientSecret.Value() != "" || s.clientSecret.Entry(privateKeyEntry) != ""
	}
	return s.clientSecret.Value() != ""
}

// seal encrypts a token or a code verifier.
func (s *settings) seal(text string) string {
	return seal(text, s.hmacSecret.Value(), s.runtime.Get(writeGCM, 0) != 0)
}

// open undoes seal.
func (s *settings) open(sealed string, st *Stats) (string, error) {
	text, legacy, err := open(sealed, s.hmacSecret.Value(), s.runtime.Get(readCBC, 1) != 0)
	if legacy {
		st.LegacyDecrypt.Inc()
	}
	return text, err
}

// Close ends the statistics and lets go of the secrets.
func (s *settings) Close() {
	s.clientSecret.Close()
	s.hmacSecret.Close()
	s.group.Close()
}

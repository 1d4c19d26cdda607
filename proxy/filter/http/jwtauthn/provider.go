package jwtauthn

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// provider is a JwtProvider compiled.
type provider struct {
	name          string
	issuer        string // "" takes any
	audiences     []string
	subjects      *matcher.String
	needsExp      bool
	maxLifetime   time.Duration // 0: any
	skew          time.Duration
	locations     []location
	forward       bool // the token stays in the request
	payloadHeader string
	padPayload    bool
	payloadIn     string // key of the metadata that the payload goes to
	headerIn      string
	failureIn     string
	spaced        []string // claims that are lists separated by blanks
	claims        []claimHeader
	clearRoute    bool
	cacheSize     int // tokens; 0: none are kept
	cacheToken    int // bytes of the longest token kept

	local  *keySet
	remote *remoteKeys
}

// claimHeader is a header that a claim is copied to.
type claimHeader struct {
	name string
	path []string
}

// metadataNamespace is where tokens go.
const metadataNamespace = "envoy.filters.http.jwt_authn"

// accepts checks a token's claims; audiences, if any, stand for the
// provider's own.
func (p *provider) accepts(t *token, audiences []string, now time.Time) status {
	if p.subjects != nil && !p.subjects.Match(t.sub) {
		return verificationFails
	}
	if p.needsExp && !t.hasExp {
		return verificationFails
	}
	if p.maxLifetime > 0 {
		start := max(t.iat, t.nbf)
		if !t.hasExp {
			return verificationFails
		}
		if start == 0 {
			start = now.Unix()
		}
		if time.Duration(t.exp-start)*time.Second > p.maxLifetime {
			return verificationFails
		}
	}
	if s := t.timely(now, p.skew); s != ok {
		return s
	}
	if len(audiences) == 0 {
		audiences = p.audiences
	}
	if len(audiences) == 0 {
		return ok
	}
	for _, a := range t.aud {
		if slices.Contains(audiences, bareAudience(a)) {
			return ok
		}
	}
	return audienceNotAllowed
}

// bareAudience is an audience without scheme and trailing slash, as Envoy
// compares them.
func bareAudience(s string) string {
	if rest, found := strings.CutPrefix(s, "https://"); found {
		s = rest
	} else {
		s = strings.TrimPrefix(s, "http://")
	}
	return strings.TrimSuffix(s, "/")
}

// sanitize removes what a client must not be able to set.
func (p *provider) sanitize(h *http.HeaderMap) {
	if p.payloadHeader != "" {
		h.RemoveName(p.payloadHeader)
	}
	for _, c := range p.claims {
		h.RemoveName(c.name)
	}
}

// take does with a good token what the configuration says.
func (p *provider) take(t *token, at location, cb http.FilterCallbacks) {
	h, info := cb.RequestHeaders(), cb.StreamInfo()
	for _, c := range p.claims {
		if v, found := t.claim(c.path); found {
			if text, usable := claimText(v); usable {
				h.SetName(c.name, h.Own(text))
			}
		}
	}
	if p.payloadHeader != "" {
		payload := t.payload64
		if p.padPayload && len(payload)%4 != 0 {
			payload += strings.Repeat("=", 4-len(payload)%4)
		}
		h.SetName(p.payloadHeader, h.Own(payload))
	}
	if !p.forward {
		at.remove(h)
	}
	if p.payloadIn != "" {
		info.SetMetadata(metadataNamespace, p.payloadIn, p.normalized(t.payload))
	}
	if p.headerIn != "" {
		info.SetMetadata(metadataNamespace, p.headerIn, t.header)
	}
	if p.clearRoute {
		cb.ClearRouteCache()
	}
}

// normalized is the payload with the claims that are lists in one string made
// lists.
func (p *provider) normalized(payload map[string]any) map[string]any {
	if len(p.spaced) == 0 {
		return payload
	}
	out := make(map[string]any, len(payload))
	for k, v := range payload {
		s, isString := v.(string)
		if !isString || !slices.Contains(p.spaced, k) {
			out[k] = v
			continue
		}
		list := []any{}
		for _, item := range strings.Fields(s) {
			list = append(list, item)
		}
		out[k] = list
	}
	return out
}

// claimText is a claim as a header's value: objects and lists are base64
// of their JSON. It is not usable when a header can't carry it.
func claimText(v any) (text string, usable bool) {
	switch x := v.(type) {
	case string:
		return x, !strings.ContainsAny(x, "\r\n\x00")
	case bool:
		return strconv.FormatBool(x), true
	case float64:
		if x == float64(int64(x)) {
			return strconv.FormatInt(int64(x), 10), true
		}
		return strconv.FormatFloat(x, 'g', 6, 64), true
	case map[string]any, []any:
		j, err := json.Marshal(x)
		return base64.StdEncoding.EncodeToString(j), err == nil
	}
	return "", false
}

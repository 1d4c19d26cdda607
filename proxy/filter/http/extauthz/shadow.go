package extauthz

import (
	"encoding/json"
	"strconv"
)

// decision is what a filter in shadow mode would have done. It is in the
// filter state, for the filters behind and for logs, as the ShadowDecision
// that Envoy has there.
type decision struct {
	result  string // OK, DENIED, ERROR
	status  int
	headers []change // of the answer
}

// note puts a decision into the filter state, under the filter's name and
// ".shadow".
func (f *filter) note(result string, status int, headers []change) {
	f.cb.StreamInfo().SetFilterState(f.cb.FilterName()+".shadow", &decision{result, status, headers})
}

type headerJSON struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (d *decision) list() (out []headerJSON) {
	for _, c := range d.headers {
		out = append(out, headerJSON{c.name, c.value})
	}
	return out
}

// String implements streaminfo.FilterStateObject.
func (d *decision) String() string {
	return asJSON(struct {
		Result  string       `json:"check_result"`
		Status  int          `json:"status_code"`
		Headers []headerJSON `json:"response_headers,omitempty"`
	}{d.result, d.status, d.list()})
}

// TypedJSON is the object as the JSON of a protobuf.
func (d *decision) TypedJSON() string {
	return asJSON(struct {
		Result  string       `json:"checkResult"`
		Status  int          `json:"statusCode"`
		Headers []headerJSON `json:"responseHeaders,omitempty"`
	}{d.result, d.status, d.list()})
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it has strings and numbers only
	}
	return string(b)
}

// Field implements streaminfo.FilterStateObject.
func (d *decision) Field(name string) (string, bool) {
	switch name {
	case "check_result":
		return d.result, true
	case "status_code":
		return strconv.Itoa(d.status), true
	}
	return "", false
}

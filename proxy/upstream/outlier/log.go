package outlier

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// logEvent is envoy.data.cluster.v3.OutlierDetectionEvent as protobuf prints it.
type logEvent struct {
	Type              string          `json:"type"`
	Timestamp         time.Time       `json:"timestamp"`
	SecsSinceLast     string          `json:"secs_since_last_action,omitempty"`
	ClusterName       string          `json:"cluster_name"`
	UpstreamURL       string          `json:"upstream_url"`
	Action            string          `json:"action"`
	NumEjections      uint32          `json:"num_ejections"`
	Enforced          bool            `json:"enforced"`
	SuccessRate       *successRateLog `json:"eject_success_rate_event,omitempty"`
	Consecutive       *struct{}       `json:"eject_consecutive_event,omitempty"`
	FailurePercentage *failureLog     `json:"eject_failure_percentage_event,omitempty"`
}

type successRateLog struct {
	Host      uint32 `json:"host_success_rate"`
	Average   uint32 `json:"cluster_average_success_rate"`
	Threshold uint32 `json:"cluster_success_rate_ejection_threshold"`
}

type failureLog struct {
	Host uint32 `json:"host_success_rate"`
}

// types are the kinds as the log has them.
var types = [numKinds]string{
	consecutive5xx: "CONSECUTIVE_5XX", consecutiveGateway: "CONSECUTIVE_GATEWAY_FAILURE", successRate: "SUCCESS_RATE",
	consecutiveLocal: "CONSECUTIVE_LOCAL_ORIGIN_FAILURE", localSuccessRate: "SUCCESS_RATE_LOCAL_ORIGIN",
	failurePercentage: "FAILURE_PERCENTAGE", localFailurePercentage: "FAILURE_PERCENTAGE_LOCAL_ORIGIN",
}

// log writes that a host is ejected, or would be.
func (d *Detector) log(t *tracked, k kind, enforced bool, now time.Duration) {
	if d.o.Log == nil {
		return
	}
	e := d.event(t, "EJECT", t.unejected, now)
	e.Type, e.Enforced = types[k], enforced
	switch origin := cluster.ExternalOrigin; k {
	case localSuccessRate, localFailurePercentage:
		origin = cluster.LocalOrigin
		fallthrough
	case successRate, failurePercentage:
		if k == successRate || k == localSuccessRate {
			e.SuccessRate = &successRateLog{uint32(t.rate[origin]), uint32(d.rates[origin].Average), uint32(d.rates[origin].Threshold)}
		} else {
			e.FailurePercentage = &failureLog{uint32(t.rate[origin])}
		}
	default:
		e.Consecutive = &struct{}{}
	}
	d.write(e)
}

// logBack writes that a host is used again.
func (d *Detector) logBack(t *tracked, now time.Duration) {
	if d.o.Log != nil {
		d.write(d.event(t, "UNEJECT", t.ejected, now))
	}
}

func (d *Detector) event(t *tracked, action string, last, now time.Duration) *logEvent {
	e := &logEvent{
		Type: types[consecutive5xx], Timestamp: time.Now().UTC(), ClusterName: d.o.Info.Name, UpstreamURL: t.Host.Address.String(),
		Action: action, NumEjections: t.ejections,
	}
	if last != 0 {
		e.SecsSinceLast = strconv.FormatInt(int64((now-last)/time.Second), 10)
	}
	return e
}

func (d *Detector) write(e *logEvent) {
	if line, err := json.Marshal(e); err == nil {
		d.o.Log(append(line, '\n'))
	}
}

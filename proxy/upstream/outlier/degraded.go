package outlier

import (
	"time"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// degradation is what is known of a host that has said that it is degraded
// (detect_degraded_hosts). It stays in the cluster, for when there are not
// enough others.
type degradation struct {
	since   time.Duration
	backOff int64 // times base_ejection_time
}

// degrade marks a host of which a response has said so.
func (d *Detector) degrade(m *cluster.Monitor, now time.Duration) {
	t := d.hosts[m.Host]
	if t == nil || !m.Host.SetHealth(cluster.DegradedOutlierDetection, true) {
		return
	}
	d.stats.Degradation.Inc()
	t.degraded.since = now
	if base, most := d.times(); time.Duration(t.degraded.backOff)*base < most+base {
		t.degraded.backOff++
	}
	d.o.Changed()
}

// relieve takes the mark off again after a time, which grows each time.
func (d *Detector) relieve(t *tracked, now time.Duration) {
	base, most := d.times()
	if t.Host.Health()&cluster.DegradedOutlierDetection == 0 {
		if t.degraded.backOff > 0 && now-t.degraded.since >= d.millis("interval_ms", d.cfg.Interval) {
			t.degraded.backOff--
		}
		return
	}
	if min(base*time.Duration(t.degraded.backOff), most) > now-t.degraded.since {
		return
	}
	t.Host.SetHealth(cluster.DegradedOutlierDetection, false)
	t.degraded.since = now
	t.ForgetDegraded()
	d.o.Changed()
}

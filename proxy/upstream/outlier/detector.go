package outlier

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// kind is what a host is ejected for; the order is that of
// envoy.data.cluster.v3.OutlierEjectionType.
type kind uint8

const (
	consecutive5xx kind = iota
	consecutiveGateway
	successRate
	consecutiveLocal
	localSuccessRate
	failurePercentage
	localFailurePercentage
	numKinds
)

// Detector is the outlier detection of one cluster. It belongs to main.
type Detector struct {
	o   Options
	cfg *Config

	limits cluster.MonitorLimits

	group *stats.Group[detectorStats]
	stats *detectorStats
	timer *event.Timer
	hosts map[*cluster.Host]*tracked
	order []*tracked
	rates [2]Rates // by cluster.RateKind
	out   int      // hosts ejected
}

// Options are what a Detector works with.
type Options struct {
	Main    *network.Loop
	Owners  int // main and the workers
	Info    *cluster.Info
	Runtime cluster.Runtime
	// Changed is called when a host's flags have changed.
	Changed func()
	// Ejected is called for each host that was taken out.
	Ejected func(*cluster.Host)
	// Log writes a line of JSON for each ejection; nil: there is no log.
	Log func(line []byte)
}

// Rates are the cluster's success rates, in percent; -1 without a figure.
type Rates struct{ Average, Threshold float64 }

// tracked is what main knows of a host.
type tracked struct {
	*cluster.Monitor
	rate      [2]float64 // percent, -1 without a figure
	ejections uint32
	backOff   int64 // times base_ejection_time
	jitter    time.Duration
	ejected   time.Duration // when it last was; 0: never
	unejected time.Duration
	degraded  degradation
}

// New starts to detect.
func New(o Options, cfg *Config) *Detector {
	d := &Detector{o: o, cfg: cfg, hosts: map[*cluster.Host]*tracked{}, rates: [2]Rates{{-1, -1}, {-1, -1}}}
	d.group = stats.NewGroup[detectorStats](o.Info.Store, stats.Scope{Prefix: o.Info.StatScope().Prefix + "outlier_detection."})
	d.stats = d.group.For(0)
	d.limits.Split = cfg.Split
	d.limit()
	if cfg.DetectDegraded {
		d.limits.Degraded = func(m *cluster.Monitor) { o.Main.Post(func() { d.degrade(m, cluster.Now()) }) }
	}
	d.timer = o.Main.NewTimer(func() { d.tick(cluster.Now()) })
	d.arm()
	return d
}

// limit sets how many errors in a row are too many: the runtime may override
// it at any time.
func (d *Detector) limit() {
	for k, key := range [...]string{
		cluster.ServerErrors: "consecutive_5xx", cluster.GatewayErrors: "consecutive_gateway_failure", cluster.LocalErrors: "consecutive_local_origin_failure",
	} {
		d.limits.Consecutive[k].Store(uint32(d.number(key, d.cfg.Consecutive[k])))
	}
}

func (d *Detector) arm() { d.timer.Enable(d.millis("interval_ms", d.cfg.Interval)) }

// millis is a duration that the runtime may override.
func (d *Detector) millis(key string, def time.Duration) time.Duration {
	return time.Duration(d.o.Runtime.Uint("outlier_detection."+key, uint64(def/time.Millisecond))) * time.Millisecond
}

func (d *Detector) number(key string, def uint32) uint64 {
	return d.o.Runtime.Uint("outlier_detection."+key, uint64(def))
}

// Close ends the detection.
func (d *Detector) Close() {
	d.timer.Release()
	d.group.Close()
}

// Update takes hosts that have come and gone, before workers see them.
func (d *Detector) Update(added, gone []*cluster.Host) {
	for _, h := range added {
		t := &tracked{Monitor: cluster.NewMonitor(h, &d.limits, d.o.Owners, d.report), rate: [2]float64{-1, -1}}
		h.SetMonitor(t.Monitor)
		d.hosts[h] = t
		d.order = append(d.order, t)
	}
	if len(gone) == 0 {
		return
	}
	for _, h := range gone {
		if d.hosts[h] != nil && h.Health()&cluster.FailedOutlierCheck != 0 {
			d.count(-1)
		}
		delete(d.hosts, h)
	}
	left := d.order[:0]
	for _, t := range d.order {
		if d.hosts[t.Host] != nil {
			left = append(left, t)
		}
	}
	clear(d.order[len(left):])
	d.order = left
}

func (d *Detector) count(n int) {
	d.out += n
	d.stats.Active.Set(int64(d.out))
}

// Rates are the cluster's figures of the last interval.
func (d *Detector) Rates(k cluster.RateKind) Rates { return d.rates[k] }

// HostRate is a host's success rate in percent, -1 without a figure.
func (d *Detector) HostRate(h *cluster.Host, k cluster.RateKind) float64 {
	if t := d.hosts[h]; t != nil {
		return t.rate[k]
	}
	return -1
}

// report comes from a worker.
func (d *Detector) report(m *cluster.Monitor, k cluster.ErrorKind) {
	d.o.Main.Post(func() { d.consecutive(m, k) })
}

func (d *Detector) consecutive(m *cluster.Monitor, k cluster.ErrorKind) {
	t := d.hosts[m.Host]
	if t == nil || m.Host.Health()&cluster.FailedOutlierCheck != 0 {
		return
	}
	kinds := [...]kind{cluster.ServerErrors: consecutive5xx, cluster.GatewayErrors: consecutiveGateway, cluster.LocalErrors: consecutiveLocal}
	d.eject(t, kinds[k], cluster.Now())
	if k == cluster.ServerErrors {
		d.stats.Consecutive5xx.Inc()
	}
	m.Reset(k)
}

// eject takes a host out, unless too many are or the configuration only wants
// to know.
func (d *Detector) eject(t *tracked, k kind, now time.Duration) {
	d.stats.detected(k).Inc()
	most := min(d.number("max_ejection_percent", d.cfg.MaxEjectionPercent), 100)
	if 100*float64(d.out+1)/float64(len(d.hosts)) > float64(most) && !(d.cfg.AlwaysEjectOne && d.out == 0) {
		d.stats.Overflow.Inc()
		return
	}
	if k == consecutive5xx || k == successRate {
		d.stats.Total.Inc()
	}
	enforced := d.o.Runtime.Enabled("outlier_detection.enforcing_"+names[k], uint64(d.cfg.Enforcing[k]))
	if enforced {
		d.takeOut(t, k, now)
	}
	d.log(t, k, enforced, now)
}

func (d *Detector) takeOut(t *tracked, k kind, now time.Duration) {
	d.count(1)
	d.stats.EnforcedTotal.Inc()
	d.stats.enforced(k).Inc()
	t.Host.SetHealth(cluster.FailedOutlierCheck, true)
	t.ejections++
	t.ejected = now
	base, most := d.times()
	if j := d.millis("max_ejection_time_jitter_ms", d.cfg.MaxJitter); j > 0 {
		t.jitter = rand.N(j + time.Millisecond)
	}
	if time.Duration(t.backOff)*base < most+base {
		t.backOff++
	}
	d.o.Ejected(t.Host)
}

func (d *Detector) times() (base, most time.Duration) {
	return d.millis("base_ejection_time_ms", d.cfg.BaseEjection), d.millis("max_ejection_time_ms", d.cfg.MaxEjection)
}

// Passed tells that an active health check of the host succeeded.
func (d *Detector) Passed(h *cluster.Host) {
	if t := d.hosts[h]; d.cfg.HealthCheckUnejects && t != nil && h.Health()&(cluster.FailedOutlierCheck|cluster.FailedActiveHC) == cluster.FailedOutlierCheck {
		d.uneject(t, cluster.Now())
	}
}

func (d *Detector) uneject(t *tracked, now time.Duration) {
	d.count(-1)
	t.Host.SetHealth(cluster.FailedOutlierCheck, false)
	t.Reset(cluster.ServerErrors)
	t.Reset(cluster.GatewayErrors)
	t.Reset(cluster.LocalErrors)
	d.logBack(t, now)
	t.unejected = now
	d.o.Changed()
}

// tick is what happens every interval.
func (d *Detector) tick(now time.Duration) {
	d.limit()
	base, most := d.times()
	for _, t := range d.order {
		if t.Host.Health()&cluster.FailedOutlierCheck != 0 && min(base*time.Duration(t.backOff), most)+t.jitter <= now-t.ejected {
			d.uneject(t, now)
		}
		d.relieve(t, now)
		t.rate = [2]float64{-1, -1}
	}
	d.judge(cluster.ExternalOrigin, now)
	d.judge(cluster.LocalOrigin, now)
	for _, t := range d.order {
		// A host that has stayed in for an interval may start from less the
		// next time.
		if t.Host.Health()&cluster.FailedOutlierCheck == 0 && t.backOff > 0 && t.unejected != 0 && now-t.unejected >= d.millis("interval_ms", d.cfg.Interval) {
			t.backOff--
		}
	}
	d.arm()
}

// judge compares hosts by their success rates of the last interval.
func (d *Detector) judge(k cluster.RateKind, now time.Duration) {
	d.rates[k] = Rates{-1, -1}
	volume := d.number("success_rate_request_volume", d.cfg.SuccessRateVolume)
	failVolume := d.number("failure_percentage_request_volume", d.cfg.FailureVolume)
	hosts := d.number("success_rate_minimum_hosts", d.cfg.SuccessRateHosts)
	failHosts := d.number("failure_percentage_minimum_hosts", d.cfg.FailureHosts)
	enough := uint64(len(d.order)) >= min(hosts, failHosts)
	var compared, failing []*tracked
	sum := 0.0
	for _, t := range d.order {
		ok, all := t.TakeRate(k)
		if !enough || all == 0 || t.Host.Health()&cluster.FailedOutlierCheck != 0 {
			continue
		}
		rate := 100 * float64(ok) / float64(all)
		if all >= min(volume, failVolume) {
			t.rate[k] = rate
		}
		if all >= volume {
			compared, sum = append(compared, t), sum+rate
		}
		if all >= failVolume {
			failing = append(failing, t)
		}
	}
	if n := len(compared); n > 0 && uint64(n) >= hosts {
		d.rates[k] = threshold(compared, k, sum, float64(d.number("success_rate_stdev_factor", d.cfg.StdevFactor))/1000)
		for _, t := range compared {
			if t.rate[k] < d.rates[k].Threshold {
				d.stats.SuccessRate.Inc()
				d.eject(t, [...]kind{successRate, localSuccessRate}[k], now)
			}
		}
	}
	if n := len(failing); n > 0 && uint64(n) >= failHosts {
		most := float64(d.number("failure_percentage_threshold", d.cfg.FailureThreshold))
		for _, t := range failing {
			if 100-t.rate[k] >= most && t.Host.Health()&cluster.FailedOutlierCheck == 0 {
				d.eject(t, [...]kind{failurePercentage, localFailurePercentage}[k], now)
			}
		}
	}
}

// threshold is so many standard deviations below the average.
func threshold(of []*tracked, k cluster.RateKind, sum, deviations float64) Rates {
	mean, variance := sum/float64(len(of)), 0.0
	for _, t := range of {
		variance += (t.rate[k] - mean) * (t.rate[k] - mean)
	}
	return Rates{mean, mean - deviations*math.Sqrt(variance/float64(len(of)))}
}

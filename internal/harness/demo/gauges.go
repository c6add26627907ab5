package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
)

const (
	// gaugesWithin bounds the wait until a scrape and the API say the same: a
	// scrape may be answered with what was read ten seconds before.
	gaugesWithin = 45 * time.Second
	gaugesAgain  = time.Second
)

// gauges holds the gauges of each node's /metrics against RateService: every
// series must be what GetRates answers the county operator, and every figure of
// GetRates that is not zero must have its series. Both are read again until they
// agree, because work may go on between the two readings.
func (r *run) gauges(ctx context.Context) error {
	for _, p := range r.places() {
		deadline := time.Now().Add(gaugesWithin)
		for {
			n, differ, err := r.compareGauges(ctx, p)
			if err != nil {
				return err
			}
			if len(differ) == 0 {
				r.say("%s：监控指标 %d 项，与 RateService 逐项相同", "%s: %d gauges, each equal to RateService", area.FullName(p.Area), n)
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("demo: %d of %d gauges of %s differ from RateService: %s", len(differ), n, p.Folder, strings.Join(differ[:min(5, len(differ))], "; "))
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(gaugesAgain):
			}
		}
	}
	return nil
}

// gauged are the gauges that GetRates answers too; those of the oldest age it
// does not.
var gauged = regexp.MustCompile(`^(yipan_rates_(?:due|answered|on_time|overdue|unreceipted))\{(.*)\} (\S+)$`)

// scrape reads a node's gauges, by metric and labels.
func (p *place) scrape(ctx context.Context) (map[string]int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Metrics+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("demo: scrape %s: %w", p.Folder, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("demo: scrape %s: %w", p.Folder, err)
	}
	defer func() {
		_, _ = io.Copy(io.Discard, resp.Body) // lets the connection be used again
		_ = resp.Body.Close()
	}()
	out, read := map[string]int64{}, false
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if lines.Text() == "yipan_rates_read 1" {
			read = true
		}
		m := gauged.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, fmt.Errorf("demo: scrape %s: a value of %s is no number", p.Folder, m[1])
		}
		labels := strings.Split(m[2], ",")
		slices.Sort(labels)
		out[m[1]+"{"+strings.Join(labels, ",")+"}"] = int64(v)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("demo: scrape %s: %w", p.Folder, err)
	}
	if !read {
		out["yipan_rates_read 0"] = 1 // the database was slow: it is read again
	}
	return out, nil
}

// compareGauges returns how many gauges there are and which differ.
func (r *run) compareGauges(ctx context.Context, p *place) (n int, differ []string, err error) {
	got, err := p.scrape(ctx)
	if err != nil {
		return 0, nil, err
	}
	want := map[string]int64{}
	month := policy.SpanMonth.Holding(r.today)
	if now := policy.PeriodOf(time.Now(), policy.SpanMonth); now != month {
		month = now // the run went on past midnight
	}
	for name, period := range map[string]policy.Period{"current": month, "previous": month.Previous()} {
		for side, role := range map[casesv1.Side]string{casesv1.Side_SIDE_RECEIVER: "receiver", casesv1.Side_SIDE_OPENER: "opener"} {
			for kind := cases.Outflow; kind.Known(); kind++ {
				resp, err := p.rates(p.operator).GetRates(ctx, &ratesv1.GetRatesRequest{
					Area: p.Area.String(), Period: period.String(), Kind: casesv1.Kind(kind), Side: side, Breakdown: ratesv1.Breakdown_BREAKDOWN_TOWNSHIP, ByTownship: true,
					Measures: []ratesv1.Measure{ratesv1.Measure_MEASURE_FEEDBACK, ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME, ratesv1.Measure_MEASURE_VERIFICATION},
				})
				if err != nil {
					return 0, nil, fmt.Errorf("demo: rates of %s: %w", p.Folder, err)
				}
				for _, v := range resp.GetRates() {
					if err := wanted(want, v, kind, role, name); err != nil {
						return 0, nil, err
					}
				}
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if v, ok := want[k]; got[k] != v && (ok || got[k] != 0) {
			differ = append(differ, fmt.Sprintf("%s is %d, RateService says %d", k, got[k], v))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[k]; !ok && want[k] != 0 {
			differ = append(differ, fmt.Sprintf("%s is missing, RateService says %d", k, want[k]))
		}
	}
	return len(got), differ, nil
}

// wanted adds the gauges that one figure must have.
func wanted(want map[string]int64, v *ratesv1.Rate, kind cases.Kind, role, period string) error {
	k, err := area.Parse(v.GetArea())
	if err != nil {
		return fmt.Errorf("demo: area of a rate: %w", err)
	}
	put := func(metric string, n int64, labels ...string) {
		labels = append(labels, fmt.Sprintf("area=%q", k.Short()), fmt.Sprintf("kind=%q", kind), fmt.Sprintf("role=%q", role))
		slices.Sort(labels)
		want["yipan_rates_"+metric+"{"+strings.Join(labels, ",")+"}"] = n
	}
	of := fmt.Sprintf("period=%q", period)
	if v.GetD() > 0 {
		if v.GetMeasure() == ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME {
			put("on_time", v.GetN(), of)
		} else {
			put("due", v.GetD(), of)
			put("answered", v.GetN(), of)
			for side, n := range v.GetOverdue() {
				put("overdue", n, of, fmt.Sprintf("side=%q", side))
			}
		}
	}
	if v.GetMeasure() != ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME && period == "current" && v.GetUnreceipted() > 0 {
		put("unreceipted", v.GetUnreceipted())
	}
	return nil
}

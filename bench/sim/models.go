package sim

import (
	"fmt"
	"math"
	"time"
)

func models(held bool) []Model {
	if held {
		return heldOut()
	}
	var ms []Model
	for _, hint := range []bool{false, true} {
		for _, a := range [][2]float64{{50, 10}, {50, 1}, {300, 50}, {5, 5}, {1, 1}, {1000, 100}} {
			for _, lat := range []Latency{C80, LN} {
				ms = append(ms, bucket("A", a[0], a[1], lat, 0, hint))
			}
		}
	}
	for _, hint := range []bool{true, false} {
		for _, lat := range []Latency{C80, LN} {
			ms = append(ms, window(1000, 60*time.Second, lat, hint), slide(1000, 60*time.Second, lat, hint))
		}
	}
	for _, others := range []float64{0, 5} {
		ms = append(ms, slots(15, "s50", others), slots(15, "s500ln", others))
	}
	ms = append(ms, bucket("E", 50, 10, C80, 503, false), bucket("E", 50, 10, LN, 503, false))
	ms = append(ms, steps(60*time.Second, C80, 100, 20, 200), steps(60*time.Second, LN, 100, 20, 200))
	ms = append(ms, outage(503), outage(502), outage(Refused), Model{Name: "H unlimited c80", Make: func() *Server { return &Server{Limit: Unlimited{}, Latency: C80} }})
	for _, share := range []float64{0.001, 0.005, 0.01, 0.05, 0.2, 0.5} {
		ms = append(ms, flaky(share, Unlimited{}, "unlimited", C80))
	}
	ms = append(ms, flaky(0.2, Unlimited{}, "unlimited", LN), flaky(0.02, &Bucket{Rate: 50, Burst: 10}, "(50,10)", C80), flaky(0.2, &Bucket{Rate: 50, Burst: 10}, "(50,10)", C80))
	for _, n := range []int{2, 10} {
		m := bucket("I", 50, 10, C80, 0, false)
		m.Name, m.Clients = fmt.Sprintf("I%d (50,10) c80", n), n
		ms = append(ms, m)
		m = bucket("I", 300, 50, LN, 0, false)
		m.Name, m.Clients = fmt.Sprintf("I%d (300,50) ln", n), n
		ms = append(ms, m)
	}
	for _, a := range [][2]float64{{50, 10}, {300, 50}, {5, 5}} {
		m := bucket("A", a[0], a[1], LNUp, 0, false)
		m.Name = "L" + m.Name
		ms = append(ms, m)
	}
	return ms
}

// heldOut are servers that nothing was tuned on.
func heldOut() []Model {
	c300, c20 := Constant(300*time.Millisecond), Constant(20*time.Millisecond)
	return []Model{
		bucket("A", 20, 5, c300, 0, false), bucket("A", 8, 30, LN, 0, false), bucket("A", 120, 1, C80, 0, false),
		bucket("A", 700, 20, c20, 0, false), bucket("A", 25, 100, C80, 0, false), bucket("A", 80, 8, LN, 0, false), bucket("A", 3, 2, C80, 0, false), bucket("A", 90, 1, C80, 0, false),
		bucket("A", 20, 5, c300, 0, true), bucket("A", 120, 30, C80, 0, true),
		window(300, 30*time.Second, C80, false), window(300, 30*time.Second, LN, true), slide(5000, 300*time.Second, C80, false),
		slots(40, "s50", 0), slots(6, "s500ln", 0), slots(25, "s500ln", 8), slots(10, "s50", 3),
		bucket("E", 80, 20, C80, 503, false), steps(40*time.Second, C80, 150, 30, 90),
	}
}

func bucket(letter string, rate, burst float64, lat Latency, status int, hint bool) Model {
	name := fmt.Sprintf("%s (%g,%g) %s", letter, rate, burst, lat.Name)
	if hint {
		name += " RA"
	}
	return Model{Name: name, Rate: rate, Make: func() *Server {
		return &Server{Limit: &Bucket{Rate: rate, Burst: burst}, Latency: lat, Status: status, Hint: hint}
	}}
}

func window(n int, period time.Duration, lat Latency, hint bool) Model {
	return Model{Name: hinted(fmt.Sprintf("B win %d/%g %s", n, period.Seconds(), lat.Name), hint), Length: 2 * period, Make: func() *Server {
		return &Server{Limit: &Window{N: n, Period: period}, Latency: lat, Hint: hint}
	}}
}

func slide(n int, period time.Duration, lat Latency, hint bool) Model {
	return Model{Name: hinted(fmt.Sprintf("C log %d/%g %s", n, period.Seconds(), lat.Name), hint), Length: 2 * period, Make: func() *Server {
		return &Server{Limit: &Log{N: n, Period: period}, Latency: lat, Hint: hint}
	}}
}

func hinted(name string, hint bool) string {
	if hint {
		name += " RA"
	}
	return name
}

func slots(n int, service string, others float64) Model {
	s := Slots{N: n, Others: others, Mean: 50 * time.Millisecond, Service: constant(50 * time.Millisecond)}
	if service == "s500ln" {
		const sigma = math.Ln10 / 2.3263
		s.Service = func(r *random) time.Duration { return r.lognormal(500 * time.Millisecond) }
		s.Mean = time.Duration(float64(500*time.Millisecond) * math.Exp(sigma*sigma/2))
	}
	name := fmt.Sprintf("D cap%d %s", n, service)
	if others > 0 {
		name += "+others"
	}
	return Model{Name: name, Make: func() *Server {
		fresh := s
		return &Server{Slots: &fresh, Latency: Latency{"c30", constant(15 * time.Millisecond), constant(0), constant(15 * time.Millisecond), 30 * time.Millisecond}}
	}}
}

func steps(phase time.Duration, lat Latency, rates ...float64) Model {
	name := "F"
	for i, r := range rates {
		if i > 0 {
			name += ">"
		} else {
			name += " "
		}
		name += itoa(int(r))
	}
	return Model{Name: name + " " + lat.Name, Length: time.Duration(len(rates)) * phase, Make: func() *Server {
		return &Server{Limit: &Steps{Bucket: Bucket{Burst: 20}, Phase: phase, Rates: rates}, Latency: lat}
	}}
}

// flaky is a server that refuses a share of all requests with a 503, and has
// a limit besides.
func flaky(share float64, limit Limit, name string, lat Latency) Model {
	return Model{Name: fmt.Sprintf("N %g%% of %s %s", 100*share, name, lat.Name), Make: func() *Server {
		l := limit
		if b, ok := limit.(*Bucket); ok {
			fresh := *b
			l = &fresh
		}
		return &Server{Limit: &Flaky{Limit: l, Share: share}, Latency: lat, Status: 503}
	}}
}

func outage(status int) Model {
	name := fmt.Sprintf("G outage %d c80", status)
	if status == Refused {
		name = "G outage dial c80"
	}
	return Model{Name: name, Length: 80 * time.Second, Make: func() *Server {
		return &Server{Limit: &Outage{10 * time.Second, 40 * time.Second}, Latency: C80, Status: status}
	}}
}

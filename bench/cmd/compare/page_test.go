package main

import (
	"slices"
	"testing"
)

func TestNanos(t *testing.T) {
	for v, want := range map[float64]string{0: "0 ns", 9.6: "10 ns", 1234: "1,234 ns", -1234: "-1,234 ns", 12_345: "12 µs", 1_234_567: "1,235 µs", 12_345_678: "12 ms", -123: "-123 ns"} {
		if got := nanos(v); got != want {
			t.Errorf("nanos(%v) is %q, want %q", v, got, want)
		}
	}
}

// Bold is the best that takes part, and whatever overlaps with it.
func TestCostRow(t *testing.T) {
	plain := func(low, median, high float64) stat { return stat{low, median, high, nanos, ""} }
	got := costRow("work", []string{"bare", "a", "b", "c"}, []stat{plain(1, 2, 3), plain(10, 20, 30), plain(29, 40, 50), plain(31, 41, 51)})
	want := []string{"work", "2 ns<br>1 ns to 3 ns", "**20 ns**<br>10 ns to 30 ns", "**40 ns**<br>29 ns to 50 ns", "41 ns<br>31 ns to 51 ns"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTicks(t *testing.T) {
	for _, row := range []struct {
		least, most float64
		want        []string
	}{
		{0, 310, []string{"0", "50", "100", "150", "200", "250", "300"}},
		{1.5, 178, []string{"20", "40", "60", "80", "100", "120", "140", "160"}},
		{0, 37_000, []string{"0", "5,000", "10,000", "15,000", "20,000", "25,000", "30,000", "35,000"}},
	} {
		var got []string
		for _, tick := range (evenly{}).Ticks(row.least, row.most) {
			got = append(got, tick.Label)
		}
		if row.want == nil || !slices.Equal(got, row.want) {
			t.Errorf("from %v to %v: %q, want %q", row.least, row.most, got, row.want)
		}
	}
}

func TestSlug(t *testing.T) {
	if got := slug("sodahttp, Pacer off"); got != "sodahttp-pacer-off" {
		t.Errorf("got %q", got)
	}
}

package main

import (
	"bytes"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours that can be told from white and from black alike, since a picture
// does not know what page it is on.
var (
	ink  = color.NRGBA{0x7c, 0x7c, 0x7c, 0xff}
	hues = map[string]color.Color{
		"sodahttp":            color.NRGBA{0xe8, 0x59, 0x0c, 0xff},
		"sodahttp, Pacer off": color.NRGBA{0xc9, 0x86, 0x4a, 0xff},
		spooled:               color.NRGBA{0xc9, 0x86, 0x4a, 0xff},
		"rehttp":              color.NRGBA{0x3b, 0x82, 0xc4, 0xff},
		"go-retryablehttp":    color.NRGBA{0x2f, 0x9e, 0x62, 0xff},
		"failsafe-go":         color.NRGBA{0x9b, 0x6d, 0xd0, 0xff},
		"resty":               color.NRGBA{0xd0, 0x57, 0x8a, 0xff},
		"heimdall":            color.NRGBA{0x9a, 0x8a, 0x2f, 0xff},
		"loop":                color.NRGBA{0x2c, 0x9c, 0xa6, 0xff},
	}
)

func hue(name string) color.Color {
	if c, ok := hues[name]; ok {
		return c
	}
	return ink
}

// The size of a picture is that of a column on a phone, so that its letters
// stay as large as the text around it.
const width, height = 5.2 * vg.Inch, 3.6 * vg.Inch

func newPlot(title string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text = title
	p.Title.TextStyle.Color = ink
	style := func(s *text.Style, size font.Length) {
		s.Color, s.Font.Variant, s.Font.Size = ink, "Sans", size
	}
	style(&p.Title.TextStyle, 13)
	p.Title.Padding = 4
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		style(&a.Label.TextStyle, 12)
		style(&a.Tick.Label, 12)
		a.Color, a.Tick.Color = ink, ink
	}
	style(&p.Legend.TextStyle, 12)
	p.Legend.Top = true
	return p
}

// svg draws p.
func svg(p *plot.Plot, h vg.Length) []byte {
	c := vgsvg.New(width, h)
	p.Draw(draw.NewCanvas(c, width, h))
	var b bytes.Buffer
	c.WriteTo(&b)
	return []byte(strings.ReplaceAll(b.String(), "Liberation Sans", "Helvetica, Arial, Liberation Sans, sans-serif"))
}

// A line is one contender's curve.
type line struct {
	name string
	xys  plotter.XYs
}

// lines draws curves, ours last and thickest.
func lines(title, x, y string, logarithmic bool, all []line) []byte {
	p := newPlot(title)
	p.X.Label.Text, p.Y.Label.Text = x, y
	if logarithmic {
		p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
		p.X.Tick.Marker, p.Y.Tick.Marker = decades{}, decades{}
	} else {
		p.Y.Min = 0
		p.X.Tick.Marker, p.Y.Tick.Marker = evenly{}, evenly{}
	}
	for _, l := range all {
		c, err := plotter.NewLine(l.xys)
		if err != nil {
			panic(err)
		}
		c.Color, c.Width = hue(l.name), vg.Points(1.6)
		if l.name == "sodahttp" {
			c.Width = vg.Points(3)
		}
		p.Add(c)
		p.Legend.Add(l.name, c)
	}
	if logarithmic {
		p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(p.Y.Min))), math.Pow(10, math.Ceil(math.Log10(p.Y.Max)+.7))
	} else {
		p.Y.Max *= 1.55 // room for the legend
	}
	return svg(p, height)
}

// decades marks the powers of ten.
type decades struct{}

func (decades) Ticks(least, most float64) (ticks []plot.Tick) {
	for v := math.Pow(10, math.Floor(math.Log10(least))); v <= most*1.001; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(v)})
	}
	return ticks
}

// evenly marks about five round numbers.
type evenly struct{}

func (evenly) Ticks(least, most float64) (ticks []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10(most-least)))
	for _, part := range []float64{.5, .4, .5, .5} { // to a half, a fifth, ...
		if (most-least)/step < 4 {
			step *= part
		}
	}
	for v := math.Ceil(least/step) * step; v <= most; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(v)})
	}
	return ticks
}

// bars are horizontal, on a logarithmic scale, each with its value in words.
type bars struct {
	names, words []string
	values       []float64
	least        float64 // where the bars begin
}

func (b bars) draw(title string) []byte {
	p := newPlot(title)
	p.HideX()
	p.NominalY(b.names...)
	p.Y.Color, p.Y.Tick.Length = color.Transparent, 0
	p.X.Scale = plot.LogScale{}
	most := b.least
	for _, v := range b.values {
		most = max(most, v)
	}
	p.X.Min, p.X.Max = b.least, most*math.Pow(most/b.least, .9) // room for the words
	p.Y.Min, p.Y.Max = -.5, float64(len(b.names))-.5
	p.Add(b)
	return svg(p, vg.Length(float64(len(b.names))*.3+.5)*vg.Inch)
}

// Plot draws the bars; it is what gonum/plot asks for.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := p.Y.Tick.Label
	style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
	for i, v := range b.values {
		left, right, low, high := x(b.least), x(max(v, b.least)), y(float64(i)-.36), y(float64(i)+.36)
		c.FillPolygon(hue(b.names[i]), []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}})
		c.FillText(style, vg.Point{X: right + 4, Y: y(float64(i))}, b.words[i])
	}
}

package figures

// BookRatios is bookRatios for tests.
var BookRatios = (*Figures).bookRatios

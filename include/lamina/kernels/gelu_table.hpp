#pragma once
// The normal distribution's tail for gelu in float, from tables in registers: fifteen polynomials of degree 5, each on
// an interval of 13/32 around its centre, and 0 beyond 5.89. Half the cost of an error function; own fits.
#include <lamina/simd/lookup.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

namespace detail {

/// Coefficients of t^0 … t^5, sixteen intervals each: a table for every power.
// Q(a) = erfc(a / sqrt 2) / 2, to within 1.0e-8.
alignas(64) inline constexpr float normal_tail_table[6][16] = {
    {0.5f, 0.342279464f, 0.2082524f, 0.111469552f, 0.0520812757f, 0.0211148169f, 0.00739460578f, 0.00222930079f,
     0.000577025465f, 0.000127966225f, 2.42751321e-05f, 3.93395521e-06f, 5.44056491e-07f, 6.41556852e-08f,
     6.44612408e-09f, 0},
    {-0.398942262f, -0.367343426f, -0.286786675f, -0.189832285f, -0.106538266f, -0.050695058f, -0.0204526726f,
     -0.0069961478f, -0.00202904805f, -0.000498942158f, -0.000104023769f, -1.83882148e-05f, -2.75594994e-06f,
     -3.5020949e-07f, -3.77319722e-08f, 0},
    {-4.85371174e-07f, 0.0746140033f, 0.116504364f, 0.115678318f, 0.0865633562f, 0.0514884293f, 0.0249273013f,
     0.00994766317f, 0.00329702091f, 0.000911983021f, 0.00021122917f, 4.10625362e-05f, 6.71142107e-06f, 9.23481366e-07f,
     1.07084126e-07f, 0},
    {0.0665000603f, 0.0511190146f, 0.0162442327f, -0.0153551092f, -0.0291312002f, -0.0264120642f, -0.0168444216f,
     -0.00826365408f, -0.00323380926f, -0.00102847186f, -0.000268773205f, -5.8126454e-05f, -1.04536257e-05f,
     -1.56884971e-06f, -1.96990555e-07f, 0},
    {-8.25427487e-05f, -0.0174572766f, -0.0225411579f, -0.0145541728f, -0.00265779276f, 0.00474965991f, 0.00607086206f,
     0.00421595527f, 0.00208971999f, 0.000797495479f, 0.000242235357f, 5.96231475e-05f, 1.20235418e-05f,
     2.00104955e-06f, 2.76260494e-07f, 0},
    {-0.00970021542f, -0.00619980088f, 0.00122542074f, 0.00581127498f, 0.00518916966f, 0.00200803531f, -0.000435116526f,
     -0.00114996568f, -0.00086469244f, -0.000423812424f, -0.00015432795f, -4.38566094e-05f, -9.96984545e-06f,
     -1.83958218e-06f, -2.781116e-07f, 0},
};
// Q(a) - a phi(a), the derivative of a Q(a), to within 6.7e-8.
alignas(64) inline constexpr float gelu_slope_table[6][16] = {
    {0.5f, 0.193046227f, -0.0247617364f, -0.119888552f, -0.121043429f, -0.0818595365f, -0.0424587838f, -0.0176659897f,
     -0.0060173776f, -0.00169629033f, -0.000398321718f, -7.82386778e-05f, -1.28913262e-05f, -1.78542564e-06f,
     -2.08162703e-07f, 0},
    {-0.797884464f, -0.674060881f, -0.38424933f, -0.0976969004f, 0.0682510734f, 0.107776515f, 0.0806123018f,
     0.042584952f, 0.017373722f, 0.00567205437f, 0.00150875014f, 0.000330430863f, 5.99848681e-05f, 9.06746027e-06f,
     1.14507259e-06f, 0},
    {-3.87225055e-06f, 0.286131889f, 0.389099002f, 0.290893763f, 0.117681794f, -0.00647931546f, -0.0483930483f,
     -0.0406578034f, -0.0216394868f, -0.00854527857f, -0.00264189765f, -0.00065598503f, -0.000132712943f,
     -2.20751044e-05f, -3.03750176e-06f, 0},
    {0.266038746f, 0.175829455f, -0.00885108858f, -0.132598013f, -0.133376077f, -0.0663976446f, -0.00780631881f,
     0.0149131743f, 0.0140783843f, 0.00741214585f, 0.00278877909f, 0.00080599176f, 0.000184828794f, 3.42352541e-05f,
     5.17900162e-06f, 0},
    {-0.000658758683f, -0.0995112285f, -0.107424319f, -0.0373884179f, 0.0286682677f, 0.0440157652f, 0.0250549503f,
     0.00477699982f, -0.00357328192f, -0.00375459762f, -0.00192645926f, -0.000684556609f, -0.000184095421f,
     -3.89240959e-05f, -6.60501564e-06f, 0},
    {-0.0576590262f, -0.030434439f, 0.0211283751f, 0.0403210819f, 0.0208473951f, -0.00392810116f, -0.0118246237f,
     -0.00717350235f, -0.00148847001f, 0.000784513715f, 0.00082984427f, 0.000397821539f, 0.000129706008f,
     3.16932092e-05f, 6.04748038e-06f, 0},
};

template <class Arch>
LAMINA_INLINE simd::Vec<float, Arch> lookup_polynomial(simd::Vec<float, Arch> a, const float (&table)[6][16]) {
    using V = simd::Vec<float, Arch>;
    constexpr float width = 0.40625f, magic = 0x1.8p23f;
    // NaN passes the minimum; the polynomial makes NaN of it again.
    const V inside = min(V(15 * width), a), shifted = fma(inside, V(1 / width), V(magic));
    const V t = fnma(shifted - V(magic), V(width), inside);
    const auto interval = simd::bit_cast_to<std::int32_t>(shifted);
    V r = simd::lookup16(table[5], interval);
    for (int power = 4; power >= 0; --power) r = fma(r, t, simd::lookup16(table[power], interval));
    return r;
}

}  // namespace detail

/// Whether the functions below are the fast way for lanes V.
template <class V>
inline constexpr bool has_gelu_table = false;
template <class Arch>
inline constexpr bool has_gelu_table<simd::Vec<float, Arch>> = simd::has_lookup16<Arch>;

/// x times the normal cdf of x: absolute error 5e-8 beside rounding.
template <class Arch>
LAMINA_INLINE simd::Vec<float, Arch> gelu_by_table(simd::Vec<float, Arch> x) {
    using V = simd::Vec<float, Arch>;
    const V a = abs(x);
    return fnma(min(V(6.09375f), a), detail::lookup_polynomial(a, detail::normal_tail_table), max(V(0), x));
}

/// Its derivative.
template <class Arch>
LAMINA_INLINE simd::Vec<float, Arch> gelu_slope_by_table(simd::Vec<float, Arch> x) {
    using V = simd::Vec<float, Arch>;
    const V d = detail::lookup_polynomial(abs(x), detail::gelu_slope_table);
    return select(x < V(0), d, V(1) - d);
}

}  // namespace lamina::inline LAMINA_ABI::kernels

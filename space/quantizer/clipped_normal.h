#pragma once
// Moments of a normal variable behind a ReLU or a clip: what BN statistics say about activations
// when no data may be read (DFQ, Nagel et al., ICCV 2019). Torch-free.

namespace bitsearch {

/// E[max(0, X)] for X ~ N(mean, deviation²): γφ(−β/γ) + β(1 − Φ(−β/γ)). `deviation` ≥ 0.
double RectifiedNormalMean(double mean, double deviation);

/// E[min(max(X, low), high)] for X ~ N(mean, deviation²), low ≤ high (either may be infinite):
/// σ(φ(A) − φ(B)) + μ(Φ(B) − Φ(A)) + a·Φ(A) + b·(1 − Φ(B)), A = (a−μ)/σ, B = (b−μ)/σ.
double ClippedNormalMean(double mean, double deviation, double low, double high);

/// E[min(max(X, low), high)²] likewise:
/// (μ²+σ²)(Φ(B) − Φ(A)) + σ((μ+a)φ(A) − (μ+b)φ(B)) + a²Φ(A) + b²(1 − Φ(B)).
double ClippedNormalSquare(double mean, double deviation, double low, double high);

}  // namespace bitsearch

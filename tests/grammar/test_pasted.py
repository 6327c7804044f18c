"""Formulas as people find them: in a library's source, its docs, a paper. Each next to what it must mean.

The NumPy function of a row was written from the source named there, not from what the parser made of the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import lossdsl
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate

Array = Any
Meaning = Callable[[Array, Array, Array], Array]  # of pred, label, score


@dataclass(frozen=True)
class Row:
    """Where it is from, what is pasted, the canonical text, and what it must mean."""

    source: str
    pasted: str
    text: str
    meaning: Meaning


def right(p: Array, y: Array) -> Array:
    """The probability given to what happened."""
    return np.where(y == 1, p, 1 - p)


def ce(p: Array, y: Array) -> Array:
    return -np.log(right(p, y))


def huber(p: Array, y: Array, delta: float) -> Array:
    r = np.abs(p - y)
    return np.where(r <= delta, r * r / 2, delta * (r - delta / 2))


def smooth_l1(p: Array, y: Array, beta: float) -> Array:
    r = np.abs(p - y)
    return np.where(r < beta, r * r / 2 / beta, r - beta / 2)


def dice(p: Array, y: Array, smooth: float) -> Array:
    return 1 - (2 * p * y + smooth) / (p + y + smooth)


def tversky(p: Array, y: Array, alpha: float, beta: float, smooth: float) -> Array:
    hit, false, missed = p * y, p * (1 - y), (1 - p) * y
    return 1 - (hit + smooth) / (hit + alpha * false + beta * missed + smooth)


def asymmetric(p: Array, y: Array, high: float, low: float, clip: float) -> Array:
    negative = np.minimum(1 - p + clip, 1)
    value = np.where(y == 1, np.log(np.maximum(p, 1e-8)), np.log(np.maximum(negative, 1e-8)))
    return -value * (1 - np.where(y == 1, p, negative)) ** np.where(y == 1, high, low)


def pinball(p: Array, y: Array, q: float) -> Array:
    return np.where(y >= p, q * (y - p), (1 - q) * (p - y))


def sign(y: Array) -> Array:
    return np.where(y == 1, 1.0, -1.0)


def sig(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))


def soft(x: Array) -> Array:
    return np.logaddexp(0, x)


ROWS = [
    # -- cross entropy -------------------------------------------------------------------------------------------------
    Row(
        "PyTorch docs, BCELoss",
        "-(y * torch.log(p) + (1 - y) * torch.log(1 - p))",
        "-(label*log(pred) + (1-label)*log(1-pred))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "a NumPy tutorial",
        "-np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))",
        "-(label*log(pred) + (1-label)*log(1-pred))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "TensorFlow docs, sigmoid_cross_entropy_with_logits",
        "tf.maximum(logits, 0) - logits * labels + tf.math.log(1 + tf.exp(-tf.abs(logits)))",
        "max(score, 0) - score*label + log(1 + exp(-abs(score)))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "StableBCELoss",
        "neg_abs = -logits.abs()\n"
        "loss = logits.clamp(min=0) - logits * target + (1 + neg_abs.exp()).log()\n"
        "return loss.mean()",
        "max(score, 0) - score*label + log(1 + exp(-abs(score)))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "torch.nn.functional",
        "F.binary_cross_entropy(y_pred, y_true)",
        "-(label*log(pred) + (1-label)*log(1-pred))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "torch.nn",
        "nn.BCEWithLogitsLoss()(logits, target.float())",
        "-(label*logsigmoid(score) + (1-label)*logsigmoid(-score))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "torch.nn.functional, pos_weight",
        "F.binary_cross_entropy_with_logits(logits, targets, pos_weight=w) where w = 3",
        "-(w*(label*logsigmoid(score)) + (1-label)*logsigmoid(-score)) where w = 3",
        lambda p, y, s: ce(p, y) * np.where(y == 1, 3, 1),
    ),
    Row(
        "TensorFlow docs, weighted_cross_entropy_with_logits",
        "labels * -tf.math.log(tf.sigmoid(logits)) * pos_weight + (1 - labels) * -tf.math.log(1 - tf.sigmoid(logits))"
        " where pos_weight = 2",
        "label*(-log(sigmoid(score)))*pos_weight + (1-label)*(-log(1 - sigmoid(score))) where pos_weight = 2",
        lambda p, y, s: ce(p, y) * np.where(y == 1, 2, 1),
    ),
    Row(
        "optax, sigmoid_binary_cross_entropy",
        "log_p = jax.nn.log_sigmoid(logits)\n"
        "log_not_p = jax.nn.log_sigmoid(-logits)\n"
        "return -labels * log_p - (1. - labels) * log_not_p",
        "-label*logsigmoid(score) - (1-label)*logsigmoid(-score)",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "JAX",
        "jnp.maximum(logits, 0) - logits * labels + jnp.log1p(jnp.exp(-jnp.abs(logits)))",
        "max(score, 0) - score*label + log1p(exp(-abs(score)))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "Keras, binary_crossentropy with its epsilon",
        "K.mean(-(y_true * K.log(y_pred + K.epsilon()) + (1 - y_true) * K.log(1 - y_pred + K.epsilon())), axis=-1)",
        "-(label*log(pred+1e-7) + (1-label)*log(1-pred+1e-7))",
        lambda p, y, s: -np.log(right(p, y) + 1e-7),
    ),
    Row(
        "label smoothing, as Keras does it",
        "y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing\n"
        "return -(y_true * np.log(y_pred) + (1 - y_true) * np.log(1 - y_pred)) where label_smoothing = 0.1",
        "-((label*(1-label_smoothing) + 0.5*label_smoothing)*log(pred) + (1 - (label*(1-label_smoothing) + "
        "0.5*label_smoothing))*log(1-pred)) where label_smoothing = 0.1",
        lambda p, y, s: 0.95 * ce(p, y) + 0.05 * ce(p, 1 - y),
    ),
    Row(
        "paper",
        r"-y\log\hat{y} - (1-y)\log(1-\hat{y})",
        "-label*log(pred) - (1-label)*log(1-pred)",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "paper, mean over a batch",
        r"\mathcal{L}_{\text{BCE}} = -\frac{1}{N}\sum_{i=1}^{N}\left[ y_i\log(p_i) + (1-y_i)\log(1-p_i) \right]",
        "-(label*log(pred) + (1-label)*log(1-pred))",
        lambda p, y, s: ce(p, y),
    ),
    Row(
        "paper, on logits",
        r"y\log(1+e^{-s}) + (1-y)\log(1+e^{s})",
        "label*log(1 + exp(-score)) + (1-label)*log(1 + exp(score))",
        lambda p, y, s: ce(p, y),
    ),
    # -- focal and its kin ---------------------------------------------------------------------------------------------
    Row(
        "torchvision, sigmoid_focal_loss",
        "p = torch.sigmoid(logits)\n"
        'ce_loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")\n'
        "p_t = p * targets + (1 - p) * (1 - targets)\n"
        "loss = ce_loss * ((1 - p_t) ** gamma)\n"
        "alpha_t = alpha * targets + (1 - alpha) * (1 - targets)\n"
        "loss = alpha_t * loss where alpha = 0.25, gamma = 2",
        "(alpha*label + (1-alpha)*(1-label))*(-(label*logsigmoid(score) + (1-label)*logsigmoid(-score))*(1 "
        "- (sigmoid(score)*label + (1 - sigmoid(score))*(1-label)))^gamma) where alpha = 0.25, gamma = 2",
        lambda p, y, s: np.where(y == 1, 0.25, 0.75) * (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    Row(
        "mmdetection, py_sigmoid_focal_loss",
        "pt = (1 - pred) * target + pred * (1 - target)\n"
        "focal_weight = (alpha * target + (1 - alpha) * (1 - target)) * pt.pow(gamma)\n"
        "loss = F.binary_cross_entropy(pred, target, reduction='none') * focal_weight where alpha = 0.25, gamma = 2.0",
        "-(label*log(pred) + (1-label)*log(1-pred))*((alpha*label + (1-alpha)*(1-label))*((1-pred)*label + "
        "pred*(1-label))^gamma) where alpha = 0.25, gamma = 2",
        lambda p, y, s: np.where(y == 1, 0.25, 0.75) * (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    Row(
        "focal-loss-keras, mkocabas",
        "pt = tf.where(tf.equal(y_true, 1), y_pred, 1 - y_pred)\n"
        "return -K.sum(alpha * K.pow(1. - pt, gamma) * K.log(pt)) where alpha = 2, gamma = 2",
        "-(alpha*(1 - if(label >= 1, pred, 1-pred))^gamma*log(if(label >= 1, pred, 1-pred))) where alpha = "
        "2, gamma = 2",
        lambda p, y, s: 2 * (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    Row(
        "focal-loss-keras, umbertogriffo",
        "pt_1 = tf.where(tf.equal(y_true, 1), y_pred, tf.ones_like(y_pred))\n"
        "pt_0 = tf.where(tf.equal(y_true, 0), y_pred, tf.zeros_like(y_pred))\n"
        "return -K.mean(alpha * K.pow(1. - pt_1, gamma) * K.log(pt_1))"
        "-K.mean((1-alpha) * K.pow( pt_0, gamma) * K.log(1. - pt_0)) where alpha = 0.25, gamma = 2",
        "-(alpha*(1 - if(label >= 1, pred, 1))^gamma*log(if(label >= 1, pred, 1))) - (1-alpha)*if(label <= "
        "0, pred, 0)^gamma*log(1 - if(label <= 0, pred, 0)) where alpha = 0.25, gamma = 2",
        lambda p, y, s: np.where(y == 1, 0.25, 0.75) * (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    Row(
        "segmentation_models.pytorch, focal_loss_with_logits",
        'logpt = F.binary_cross_entropy_with_logits(logits, target, reduction="none")\n'
        "pt = torch.exp(-logpt)\n"
        "focal_term = (1.0 - pt).pow(gamma)\n"
        "loss = focal_term * logpt\n"
        "loss *= alpha * target + (1 - alpha) * (1 - target) where gamma = 3, alpha = 0.4",
        "(1 - exp(-(-(label*logsigmoid(score) + "
        "(1-label)*logsigmoid(-score)))))^gamma*(-(label*logsigmoid(score) + "
        "(1-label)*logsigmoid(-score)))*(alpha*label + (1-alpha)*(1-label)) where gamma = 3, alpha = 0.4",
        lambda p, y, s: np.where(y == 1, 0.4, 0.6) * (1 - right(p, y)) ** 3 * ce(p, y),
    ),
    Row(
        "kornia, binary_focal_loss_with_logits",
        "probs_pos = torch.sigmoid(logits)\n"
        "probs_neg = torch.sigmoid(-logits)\n"
        "loss_tmp = -self.alpha * torch.pow(probs_neg, self.gamma) * target * F.logsigmoid(logits)"
        " - (1 - self.alpha) * torch.pow(probs_pos, self.gamma) * (1.0 - target) * F.logsigmoid(-logits)\n"
        "where alpha = 0.25, gamma = 2",
        "-alpha*sigmoid(-score)^gamma*label*logsigmoid(score) - "
        "(1-alpha)*sigmoid(score)^gamma*(1-label)*logsigmoid(-score) where alpha = 0.25, gamma = 2",
        lambda p, y, s: np.where(y == 1, 0.25, 0.75) * (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    Row(
        "paper, Lin 2017",
        r"\mathrm{FL}(p_t) = -\alpha_t (1-p_t)^\gamma \log(p_t) where alpha = 0.25, gamma = 2",
        "-if(label >= 1, alpha, 1-alpha)*(1 - if(label >= 1, pred, 1-pred))^gamma*log(if(label >= 1, pred, "
        "1-pred)) where alpha = 0.25, gamma = 2",
        lambda p, y, s: np.where(y == 1, 0.25, 0.75) * (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    Row(
        "Alibaba-MIIL, AsymmetricLoss",
        "x_sigmoid = torch.sigmoid(logits)\n"
        "xs_pos = x_sigmoid\n"
        "xs_neg = 1 - x_sigmoid\n"
        "xs_neg = (xs_neg + self.clip).clamp(max=1)\n"
        "los_pos = y * torch.log(xs_pos.clamp(min=self.eps))\n"
        "los_neg = (1 - y) * torch.log(xs_neg.clamp(min=self.eps))\n"
        "loss = los_pos + los_neg\n"
        "pt0 = xs_pos * y\n"
        "pt1 = xs_neg * (1 - y)\n"
        "pt = pt0 + pt1\n"
        "one_sided_gamma = self.gamma_pos * y + self.gamma_neg * (1 - y)\n"
        "one_sided_w = torch.pow(1 - pt, one_sided_gamma)\n"
        "loss *= one_sided_w\n"
        "return -loss.sum()\n"
        "where clip = 0.05, eps = 1e-8, gamma_pos = 1, gamma_neg = 4",
        "-((label*log(max(sigmoid(score), eps)) + (1-label)*log(max(min(1 - sigmoid(score) + clip, 1), "
        "eps)))*(1 - (sigmoid(score)*label + min(1 - sigmoid(score) + clip, "
        "1)*(1-label)))^(gamma_pos*label + gamma_neg*(1-label))) where clip = 0.05, eps = 1e-8, gamma_pos "
        "= 1, gamma_neg = 4",
        lambda p, y, s: asymmetric(p, y, 1, 4, 0.05),
    ),
    Row(
        "paper, Ridnik 2021, margin written out",
        r"-y (1-p)^{\gamma_+}\log(p) - (1-y)\max(p-m,0)^{\gamma_-}\log(1-\max(p-m,0))"
        " where gamma_plus = 1, gamma_minus = 4, m = 0.05",
        "-label*(1-pred)^gamma_plus*log(pred) - (1-label)*max(pred-m, 0)^gamma_minus*log(1 - max(pred-m, "
        "0)) where gamma_plus = 1, gamma_minus = 4, m = 0.05",
        lambda p, y, s: asymmetric(p, y, 1, 4, 0.05),
    ),
    Row(
        "PolyBCELoss",
        'bce_loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")\n'
        "pt = torch.sigmoid(logits)\n"
        "pt = torch.where(target ==1,pt,1-pt)\n"
        "poly_loss = bce_loss + self.epsilon * (1 - pt)\n"
        "return torch.mean(poly_loss) where epsilon = 1.0",
        "-(label*logsigmoid(score) + (1-label)*logsigmoid(-score)) + epsilon*(1 - if(label >= 1, "
        "sigmoid(score), 1 - sigmoid(score))) where epsilon = 1",
        lambda p, y, s: ce(p, y) + 1 - right(p, y),
    ),
    Row(
        "PolyLoss, poly1_focal_loss",
        "p = torch.sigmoid(logits)\n"
        "pt = labels * p + (1 - labels) * (1 - p)\n"
        "FL = -(1 - pt) ** gamma * torch.log(pt)\n"
        "Poly1 = FL + epsilon * torch.pow(1 - pt, gamma + 1) where gamma = 2, epsilon = 0.5",
        "-(1 - (label*sigmoid(score) + (1-label)*(1 - sigmoid(score))))^gamma*log(label*sigmoid(score) + "
        "(1-label)*(1 - sigmoid(score))) + epsilon*(1 - (label*sigmoid(score) + (1-label)*(1 - "
        "sigmoid(score))))^(gamma+1) where gamma = 2, epsilon = 0.5",
        lambda p, y, s: (1 - right(p, y)) ** 2 * ce(p, y) + 0.5 * (1 - right(p, y)) ** 3,
    ),
    Row(
        "paper, Leng 2022",
        r"L_{\text{Poly-1}} = -\log(p_t) + \epsilon_1 (1 - p_t) where epsilon_1 = 2",
        "-log(if(label >= 1, pred, 1-pred)) + epsilon_1*(1 - if(label >= 1, pred, 1-pred)) where epsilon_1 = 2",
        lambda p, y, s: ce(p, y) + 2 * (1 - right(p, y)),
    ),
    Row(
        "Keras, BinaryFocalCrossentropy",
        "p_t = y_true * y_pred + (1 - y_true) * (1 - y_pred)\n"
        "focal_factor = tf.pow(1.0 - p_t, gamma)\n"
        "return focal_factor * -tf.math.log(p_t) where gamma = 2.0",
        "(1 - (label*pred + (1-label)*(1-pred)))^gamma*(-log(label*pred + (1-label)*(1-pred))) where gamma = 2",
        lambda p, y, s: (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    # -- against noisy labels ------------------------------------------------------------------------------------------
    Row(
        "GeneralizedCrossEntropy",
        "p = torch.where(target == 1, pred, 1 - pred)\nloss = (1. - torch.pow(p, self.q)) / self.q where q = 0.7",
        "(1 - if(label >= 1, pred, 1-pred)^q)/q where q = 0.7",
        lambda p, y, s: (1 - right(p, y) ** 0.7) / 0.7,
    ),
    Row(
        "paper, Zhang 2018",
        r"\frac{1-p_t^q}{q} where q = 0.5",
        "(1 - if(label >= 1, pred, 1-pred)^q)/q where q = 0.5",
        lambda p, y, s: 2 * (1 - np.sqrt(right(p, y))),
    ),
    Row(
        "SCELoss, two classes",
        "ce = -(y * torch.log(p) + (1 - y) * torch.log(1 - p))\n"
        "y1 = torch.clamp(y, min=1e-4, max=1.0)\n"
        "y0 = torch.clamp(1 - y, min=1e-4, max=1.0)\n"
        "rce = -1 * (p * torch.log(y1) + (1 - p) * torch.log(y0))\n"
        "loss = self.alpha * ce + self.beta * rce where alpha = 0.1, beta = 1",
        "alpha*(-(label*log(pred) + (1-label)*log(1-pred))) + beta*(-1*(pred*log(clamp(label, 1e-4, 1)) + "
        "(1-pred)*log(clamp(1-label, 1e-4, 1)))) where alpha = 0.1, beta = 1",
        lambda p, y, s: 0.1 * ce(p, y) - np.log(1e-4) * (1 - right(p, y)),
    ),
    Row(
        "mean absolute error as a robust loss",
        "torch.abs(labels - preds).mean()",
        "abs(label-pred)",
        lambda p, y, s: 1 - right(p, y),
    ),
    Row(
        "Taylor cross entropy of order 2",
        "pt = y * p + (1 - y) * (1 - p)\n(1 - pt) + (1 - pt) ** 2 / 2",
        "1 - (label*pred + (1-label)*(1-pred)) + (1 - (label*pred + (1-label)*(1-pred)))^2/2",
        lambda p, y, s: (1 - right(p, y)) + (1 - right(p, y)) ** 2 / 2,
    ),
    # -- overlap, taken at one point -----------------------------------------------------------------------------------
    Row(
        "TverskyLoss, one point",
        "TP = pred * target\nFP = (1 - target) * pred\nFN = target * (1 - pred)\n"
        "Tversky = (TP + smooth) / (TP + alpha*FP + beta*FN + smooth)\n"
        "return 1 - Tversky where alpha = 0.3, beta = 0.7, smooth = 1",
        "1 - (pred*label+smooth)/(pred*label + alpha*((1-label)*pred) + beta*(label*(1-pred)) + smooth) "
        "where alpha = 0.3, beta = 0.7, smooth = 1",
        lambda p, y, s: tversky(p, y, 0.3, 0.7, 1),
    ),
    Row(
        "FocalTverskyLoss, one point",
        "tp = y * p\nti = (tp + 1) / (tp + 0.3*(1 - y)*p + 0.7*y*(1 - p) + 1)\nreturn (1 - ti)**0.75",
        "(1 - (label*pred+1)/(label*pred + 0.3*(1-label)*pred + 0.7*label*(1-pred) + 1))^0.75",
        lambda p, y, s: tversky(p, y, 0.3, 0.7, 1) ** 0.75,
    ),
    Row(
        "DiceLoss, one point",
        "1 - (2. * y_pred * y_true + smooth) / (y_pred + y_true + smooth) where smooth = 1.",
        "1 - (2*pred*label+smooth)/(pred+label+smooth) where smooth = 1",
        lambda p, y, s: dice(p, y, 1),
    ),
    Row(
        "V-Net dice, one point",
        r"1 - \frac{2 p y + 1}{p^2 + y^2 + 1}",
        "1 - (2*pred*label+1)/(pred^2+label^2+1)",
        lambda p, y, s: 1 - (2 * p * y + 1) / (p * p + y * y + 1),
    ),
    Row(
        "IoULoss, one point",
        "inter = y_pred * y_true\nunion = y_pred + y_true - inter\nreturn 1 - (inter + 1) / (union + 1)",
        "1 - (pred*label+1)/(pred+label-pred*label+1)",
        lambda p, y, s: 1 - (p * y + 1) / (p + y - p * y + 1),
    ),
    Row(
        "self-adjusting dice",
        "1 - (2 * ((1 - p) ** alpha * p) * y + gamma) / ((1 - p) ** alpha * p + y + gamma) where alpha = 1, gamma = 1",
        "1 - (2*((1-pred)^alpha*pred)*label + gamma)/((1-pred)^alpha*pred + label + gamma) where alpha = 1, gamma = 1",
        lambda p, y, s: 1 - (2 * (1 - p) * p * y + 1) / ((1 - p) * p + y + 1),
    ),
    # -- regression ----------------------------------------------------------------------------------------------------
    Row("torch", "(y_pred - y_true).pow(2).mean()", "(pred-label)^2", lambda p, y, s: (p - y) ** 2),
    Row("Keras", "K.mean(K.square(y_pred - y_true), axis=-1)", "square(pred-label)", lambda p, y, s: (p - y) ** 2),
    Row(
        "torch.nn.functional, a half",
        "0.5 * F.mse_loss(pred, target)",
        "0.5*(pred-label)^2",
        lambda p, y, s: 0.5 * (p - y) ** 2,
    ),
    Row("NumPy", "np.mean(np.abs(y_true - y_pred))", "abs(label-pred)", lambda p, y, s: np.abs(p - y)),
    Row("paper", r"\frac{1}{n}\sum_{i=1}^n (y_i - \hat{y}_i)^2", "(label-pred)^2", lambda p, y, s: (p - y) ** 2),
    Row(
        "paper, a norm",
        r"\frac{1}{2}\lVert y - \hat{y} \rVert^2",
        "1/2*abs(label-pred)^2",
        lambda p, y, s: (p - y) ** 2 / 2,
    ),
    Row(
        "LogCoshLoss, tuantle",
        "ey_t = y_true - y_pred\nreturn torch.mean(torch.log(torch.cosh(ey_t + 1e-12)))",
        "log((exp(label-pred+1e-12) + exp(-(label-pred+1e-12)))/2)",
        lambda p, y, s: np.log(np.cosh(y - p)),
    ),
    Row(
        "log_cosh by softplus",
        "x = y_pred - y_true\nreturn torch.mean(x + torch.nn.functional.softplus(-2. * x) - math.log(2.0))",
        "pred - label + softplus(-2*(pred-label)) - log(2)",
        lambda p, y, s: np.log(np.cosh(y - p)),
    ),
    Row(
        "torch-metrics, logcosh",
        "diff = y_pred - y_true\nreturn torch.mean(torch.log((torch.exp(diff) + torch.exp(-1. * diff)) / 2.))",
        "log((exp(pred-label) + exp(-1*(pred-label)))/2)",
        lambda p, y, s: np.log(np.cosh(y - p)),
    ),
    Row(
        "paper",
        r"\log\left(\cosh(\hat{y} - y)\right)",
        "log((exp(pred-label) + exp(-(pred-label)))/2)",
        lambda p, y, s: np.log(np.cosh(y - p)),
    ),
    Row(
        "Keras, Huber",
        "error = y_pred - y_true\nabs_error = tf.abs(error)\n"
        "tf.where(abs_error <= delta, 0.5 * tf.square(error), delta * abs_error - 0.5 * tf.square(delta))"
        " where delta = 0.3",
        "if(abs(pred-label) <= delta, 0.5*square(pred-label), delta*abs(pred-label) - 0.5*square(delta)) "
        "where delta = 0.3",
        lambda p, y, s: huber(p, y, 0.3),
    ),
    Row(
        "torch.nn.functional, huber_loss",
        "F.huber_loss(y_pred, y_true, delta=0.5)",
        "if(abs(pred-label) <= 0.5, 0.5*(pred-label)^2, 0.5*(abs(pred-label) - 0.5*0.5))",
        lambda p, y, s: huber(p, y, 0.5),
    ),
    Row(
        "torch.nn.functional, smooth_l1_loss",
        "F.smooth_l1_loss(preds, targets, beta=0.25, reduction='sum')",
        "if(abs(pred-label) < 0.25, 0.5*(pred-label)^2/0.25, abs(pred-label) - 0.5*0.25)",
        lambda p, y, s: smooth_l1(p, y, 0.25),
    ),
    Row(
        "mmdetection, smooth_l1_loss",
        "diff = torch.abs(pred - target)\n"
        "loss = torch.where(diff < beta, 0.5 * diff * diff / beta, diff - 0.5 * beta) where beta = 0.5",
        "if(abs(pred-label) < beta, 0.5*abs(pred-label)*abs(pred-label)/beta, abs(pred-label) - 0.5*beta) "
        "where beta = 0.5",
        lambda p, y, s: smooth_l1(p, y, 0.5),
    ),
    Row(
        "plain Python",
        "0.5*(p - y)**2 if abs(p - y) < 0.4 else 0.4*(abs(p - y) - 0.2)",
        "if(abs(pred-label) < 0.4, 0.5*(pred-label)^2, 0.4*(abs(pred-label) - 0.2))",
        lambda p, y, s: huber(p, y, 0.4),
    ),
    Row(
        "Wikipedia, Huber loss",
        r"L_\delta = \begin{cases} \frac{1}{2}(y-\hat{y})^2 & \text{for } |y-\hat{y}| \le \delta, \\"
        r" \delta \cdot \left(|y-\hat{y}| - \frac{1}{2}\delta\right), & \text{otherwise.} \end{cases}"
        r" where delta = 0.3",
        "if(abs(label-pred) <= delta, 1/2*(label-pred)^2, delta*(abs(label-pred) - 1/2*delta)) where delta = 0.3",
        lambda p, y, s: huber(p, y, 0.3),
    ),
    Row(
        "pseudo-Huber",
        "delta**2 * (np.sqrt(1 + ((y_true - y_pred) / delta)**2) - 1) where delta = 0.5",
        "delta^2*(sqrt(1 + ((label-pred)/delta)^2) - 1) where delta = 0.5",
        lambda p, y, s: 0.25 * (np.hypot(1, 2 * (y - p)) - 1),
    ),
    Row(
        "Wikipedia, pseudo-Huber",
        r"\delta^2\left(\sqrt{1+\left(\frac{y-\hat y}{\delta}\right)^2}-1\right) where delta = 2",
        "delta^2*(sqrt(1 + ((label-pred)/delta)^2) - 1) where delta = 2",
        lambda p, y, s: 4 * (np.hypot(1, (y - p) / 2) - 1),
    ),
    Row(
        "quantile loss",
        "errors = target - preds\ntorch.max((q-1) * errors, q * errors) where q = 0.9",
        "max((q-1)*(label-pred), q*(label-pred)) where q = 0.9",
        lambda p, y, s: pinball(p, y, 0.9),
    ),
    Row(
        "TensorFlow Addons, pinball_loss",
        "delta_y = y_true - y_pred\npinball = tf.math.maximum(tau * delta_y, (tau - 1.) * delta_y)\n"
        "tf.reduce_mean(pinball, axis=-1) where tau = 0.2",
        "max(tau*(label-pred), (tau-1)*(label-pred)) where tau = 0.2",
        lambda p, y, s: pinball(p, y, 0.2),
    ),
    Row(
        "paper, quantile",
        r"\begin{cases} \tau (y - \hat{y}) & \text{if } y \geq \hat{y} \\ (1-\tau)(\hat{y} - y) & \text{otherwise}"
        r" \end{cases} \quad \text{where } \tau = 0.7",
        "if(label >= pred, tau*(label-pred), (1-tau)*(pred-label)) where tau = 0.7",
        lambda p, y, s: pinball(p, y, 0.7),
    ),
    # -- margins -------------------------------------------------------------------------------------------------------
    Row("paper, exponential", r"e^{-(2y-1)s}", "exp(-(2*label-1)*score)", lambda p, y, s: np.exp(-sign(y) * s)),
    Row(
        "AdaBoost in torch",
        "torch.exp(-(2 * y - 1) * logits)",
        "exp(-(2*label-1)*score)",
        lambda p, y, s: np.exp(-sign(y) * s),
    ),
    Row(
        "Keras, hinge",
        "y_true = 2.0 * y_true - 1.0\nreturn tf.reduce_mean(tf.maximum(1.0 - y_true * logits, 0.0), axis=-1)",
        "max(1 - (2*label-1)*score, 0)",
        lambda p, y, s: np.maximum(0, 1 - sign(y) * s),
    ),
    Row(
        "Keras, squared_hinge",
        "K.mean(K.square(K.maximum(1. - (2*y_true - 1) * logits, 0.)), axis=-1)",
        "square(max(1 - (2*label-1)*score, 0))",
        lambda p, y, s: np.maximum(0, 1 - sign(y) * s) ** 2,
    ),
    Row(
        "paper, hinge",
        r"\max\{0, 1 - (2y-1)\, s\}",
        "max(0, 1 - (2*label-1)*score)",
        lambda p, y, s: np.maximum(0, 1 - sign(y) * s),
    ),
    Row(
        "paper, positive part",
        r"\left[1 - (2y-1)f(x)\right]_+^2",
        "relu(1 - (2*label-1)*score)^2",
        lambda p, y, s: np.maximum(0, 1 - sign(y) * s) ** 2,
    ),
    Row(
        "scikit-learn, modified Huber",
        "z = (2*y - 1) * logits\nnp.where(z >= -1, np.maximum(0, 1 - z)**2, -4*z)",
        "if((2*label-1)*score >= -1, max(0, 1 - (2*label-1)*score)^2, -4*((2*label-1)*score))",
        lambda p, y, s: np.where(sign(y) * s >= -1, np.maximum(0, 1 - sign(y) * s) ** 2, -4 * sign(y) * s),
    ),
    Row(
        "torch.nn.functional, soft_margin_loss",
        "F.soft_margin_loss(logits, 2*y - 1)",
        "softplus(-((2*label-1)*score))",
        lambda p, y, s: soft(-sign(y) * s),
    ),
    Row(
        "NumPy, logistic",
        "np.logaddexp(0, -(2*y - 1)*logits)",
        "softplus(-(2*label-1)*score)",
        lambda p, y, s: soft(-sign(y) * s),
    ),
    Row(
        "Savage loss",
        r"\frac{1}{\left(1+e^{(2y-1)s}\right)^2}",
        "1/(1 + exp((2*label-1)*score))^2",
        lambda p, y, s: sig(-sign(y) * s) ** 2,
    ),
    Row(
        "sigmoid loss",
        "torch.sigmoid(logits * -(2*labels - 1))",
        "sigmoid(score*(-(2*label-1)))",
        lambda p, y, s: sig(-sign(y) * s),
    ),
    # -- pairs ---------------------------------------------------------------------------------------------------------
    Row(
        "RecBole, BPRLoss",
        "-torch.log(self.gamma + torch.sigmoid(pos_score - neg_score)).mean() where gamma = 1e-10",
        "-log(gamma + sigmoid(score)) where gamma = 1e-10",
        lambda p, y, s: -np.log(1e-10 + sig(s)),
    ),
    Row(
        "LightGCN",
        "torch.mean(torch.nn.functional.softplus(neg_scores - pos_scores))",
        "softplus(-score)",
        lambda p, y, s: soft(-s),
    ),
    Row("torch", "-F.logsigmoid(pos_scores - neg_scores).mean()", "-logsigmoid(score)", lambda p, y, s: soft(-s)),
    Row("PyTorchRec", "F.softplus(-(pos - neg))", "softplus(-score)", lambda p, y, s: soft(-s)),
    Row(
        "JIFR, BPR clamped",
        "reduce = torch.mean((-torch.log(torch.sigmoid(pos_score - neg_score).clamp(min=1e-8))).clamp(max=20))",
        "min(-log(max(sigmoid(score), 1e-8)), 20)",
        lambda p, y, s: np.minimum(-np.log(np.maximum(sig(s), 1e-8)), 20),
    ),
    Row(
        "Spotlight, bpr_loss",
        "loss = (1.0 - torch.sigmoid(positive_predictions - negative_predictions))",
        "1 - sigmoid(score)",
        lambda p, y, s: sig(-s),
    ),
    Row(
        "Spotlight, hinge_loss",
        "torch.clamp(negative_predictions - positive_predictions + 1.0, 0.0)",
        "max(-score+1, 0)",
        lambda p, y, s: np.maximum(0, 1 - s),
    ),
    Row(
        "paper, Rendle 2009",
        r"-\ln \sigma(\hat{x}_{ui} - \hat{x}_{uj})",
        "-log(sigmoid(score))",
        lambda p, y, s: soft(-s),
    ),
    Row(
        "paper, NGCF",
        r"Loss = \sum_{(u,i,j)} -\ln\sigma(\hat{y}_{ui} - \hat{y}_{uj})",
        "-log(sigmoid(score))",
        lambda p, y, s: soft(-s),
    ),
    Row(
        "paper, TOP1 without its regulariser",
        r"\sigma\left(\hat{r}_{s,j} - \hat{r}_{s,i}\right)",
        "sigmoid(-score)",
        lambda p, y, s: sig(-s),
    ),
    Row(
        "GRU4Rec, TOP1 without its regulariser",
        "torch.sigmoid(neg_score - pos_score)",
        "sigmoid(-score)",
        lambda p, y, s: sig(-s),
    ),
    Row(
        "RankNet, Burges 2005",
        "P = torch.sigmoid(s_i - s_j)\nloss = -(y * torch.log(P) + (1 - y) * torch.log(1 - P))",
        "-(label*log(sigmoid(score)) + (1-label)*log(1 - sigmoid(score)))",
        lambda p, y, s: ce(sig(s), y),
    ),
    Row(
        "paper, RankNet with its sigma",
        r"C = \log(1 + e^{-\sigma (s_i - s_j)}) where sigma = 2",
        "log(1 + exp(-sigma*score)) where sigma = 2",
        lambda p, y, s: soft(-2 * s),
    ),
    Row(
        "torch.nn.functional, margin_ranking_loss",
        "F.margin_ranking_loss(x1, x2, 2*y - 1, margin=0.5)",
        "relu(-(2*label-1)*score + 0.5)",
        lambda p, y, s: np.maximum(0, -sign(y) * s + 0.5),
    ),
    Row(
        "PyTorch docs, MarginRankingLoss",
        "torch.clamp(-(2*y - 1) * (x1 - x2) + margin, min=0) where margin = 0.1",
        "max(-(2*label-1)*score + margin, 0) where margin = 0.1",
        lambda p, y, s: np.maximum(0, -sign(y) * s + 0.1),
    ),
    Row(
        "margin on a pair",
        "F.relu(margin - pos + neg).mean() where margin = 1",
        "relu(margin-score) where margin = 1",
        lambda p, y, s: np.maximum(0, 1 - s),
    ),
    Row(
        "paper, triplets",
        r"\left[ m - s^{+} + s^{-} \right]_+ where m = 0.2",
        "relu(m-score) where m = 0.2",
        lambda p, y, s: np.maximum(0, 0.2 - s),
    ),
    Row(
        "contrastive, one pair with a temperature",
        "-F.logsigmoid((pos_logits - neg_logits) / temperature) where temperature = 0.5",
        "-logsigmoid(score/temperature) where temperature = 0.5",
        lambda p, y, s: soft(-2 * s),
    ),
    Row(
        "circle loss, one pair",
        "torch.log(1 + torch.exp(gamma * (neg - pos + m))) where gamma = 4, m = 0.25",
        "log(1 + exp(gamma*(-score+m))) where gamma = 4, m = 0.25",
        lambda p, y, s: soft(4 * (0.25 - s)),
    ),
    Row("RankBoost", "torch.exp(neg_score - pos_score)", "exp(-score)", lambda p, y, s: np.exp(-s)),
    Row("squared pair", "(1 - (pos_score - neg_score)) ** 2", "(1-score)^2", lambda p, y, s: (1 - s) ** 2),
    Row(
        "Barron 2019, general robust loss",
        "abs(alpha-2)/alpha*((((pred-label)/c)**2/abs(alpha-2) + 1)**(alpha/2) - 1) where alpha = 1, c = 1",
        "abs(alpha-2)/alpha*((((pred-label)/c)^2/abs(alpha-2) + 1)^(alpha/2) - 1) where alpha = 1, c = 1",
        lambda p, y, s: np.sqrt((p - y) ** 2 + 1) - 1,
    ),
    Row(
        "Charbonnier 1994",
        "torch.sqrt((pred - target) ** 2 + eps ** 2).mean() where eps = 0.001",
        "sqrt((pred-label)^2 + eps^2) where eps = 0.001",
        lambda p, y, s: np.hypot(p - y, 0.001),
    ),
    Row(
        "Geman and McClure 1985",
        r"\frac{(y-\hat y)^2}{1+(y-\hat y)^2}",
        "(label-pred)^2/(1 + (label-pred)^2)",
        lambda p, y, s: (y - p) ** 2 / (1 + (y - p) ** 2),
    ),
    Row(
        "Tukey's biweight with c = 1/2",
        r"\begin{cases} \frac{c^2}{6}\left(1-\left(1-(y-\hat y)^2/c^2\right)^3\right) & |y-\hat y|\le c \\"
        r" \frac{c^2}{6} & \text{otherwise} \end{cases}, c = 0.5",
        "if(abs(label-pred) <= c, c^2/6*(1 - (1 - (label-pred)^2/c^2)^3), c^2/6) where c = 0.5",
        lambda p, y, s: np.where(abs(y - p) <= 0.5, (1 - (1 - 4 * (y - p) ** 2) ** 3) / 24, 1 / 24),
    ),
    Row(
        "expectile regression",
        "torch.where(label > pred, tau, 1 - tau) * (label - pred)**2 where tau = 0.7",
        "if(label > pred, tau, 1-tau)*(label-pred)^2 where tau = 0.7",
        lambda p, y, s: np.where(y > p, 0.7, 0.3) * (y - p) ** 2,
    ),
    Row(
        "Koenker and Bassett 1978, quantiles",
        r"\max(\tau (y-\hat y), (\tau-1)(y-\hat y)),\quad \tau = 0.7",
        "max(tau*(label-pred), (tau-1)*(label-pred)) where tau = 0.7",
        lambda p, y, s: np.where(y > p, 0.7 * (y - p), 0.3 * (p - y)),
    ),
    Row(
        "Lin 2017, as printed",
        r"FL(p_t) = -\alpha (1 - p_t)^\gamma \log(p_t), \gamma = 2, \alpha = 0.25",
        "-alpha*(1 - if(label >= 1, pred, 1-pred))^gamma*log(if(label >= 1, pred, 1-pred))"
        " where gamma = 2, alpha = 0.25",
        lambda p, y, s: 0.25 * (1 - right(p, y)) ** 2 * ce(p, y),
    ),
    Row(
        "Bradley and Terry 1952",
        r"-\log \frac{\exp(r_w)}{\exp(r_w) + \exp(r_l)}",
        "-log(sigmoid(score))",
        lambda p, y, s: soft(-s),
    ),
    Row(
        "sampled softmax with one negative",
        r"-\log \frac{\exp(s_{ui}/\tau)}{\exp(s_{ui}/\tau) + \exp(s_{uj}/\tau)}, \tau = 0.2",
        "-log(sigmoid(score/tau)) where tau = 0.2",
        lambda p, y, s: soft(-5 * s),
    ),
    Row(
        "Rennie and Srebro 2005, smooth hinge",
        r"\ell(z) = \begin{cases} \frac{1}{2} - s & s \le 0 \\ \frac{1}{2}(1-s)^2 & 0 < s < 1 \\ 0 &"
        r" \text{otherwise} \end{cases}",
        "if(score <= 0, 1/2-score, if(0 < score, if(score < 1, 1/2*(1-score)^2, 0), 0))",
        lambda p, y, s: np.where(s <= 0, 0.5 - s, np.maximum(1 - s, 0) ** 2 / 2),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.source)
def test_is_read_as_this_text(row: Row) -> None:
    assert str(lossdsl.parse(row.pasted)) == row.text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.source)
def test_means_the_same_function(row: Row) -> None:
    random = np.random.default_rng(3)
    score = random.uniform(-4, 4, 50)
    label = np.tile([0.0, 1.0], 25)
    pred = 1 / (1 + np.exp(-score))
    value, _ = evaluate(lower(lossdsl.parse(row.pasted)), score, label)
    wanted = row.meaning(pred, label, score)
    np.testing.assert_allclose(np.broadcast_to(value, wanted.shape), wanted, rtol=1e-9, atol=1e-9)


def test_there_are_enough() -> None:
    assert len({row.pasted for row in ROWS}) == len(ROWS) >= 60
